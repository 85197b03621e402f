"""The Decision Transformer (Chen et al. 2021, https://arxiv.org/abs/2106.01345).

`Windows` draws the sequences of algorithm 1 and the loss is its loss, but for continuous actions a likelihood whose
deviation is learned (Zheng et al. 2022, https://arxiv.org/abs/2202.05607, section 4) in place of the squared error,
which is the case of a fixed one. The defaults are those of Chen et al.'s table 9 for Gym.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agents.policies.decision_transformer import DecisionTransformerPolicy, DecisionTransformerPolicyConfig
from agents.recipes import acting, offline
from agents.recipes.offline import OfflineConfig
from agents.updates.parts import Parts, load_parts, save_parts
from envs.episodes.episodes import Episodes
from training.core import Batch, Budget, Counters, to_device
from training.data.streams import Shuffled
from training.errors import require
from training.metrics import Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.optimizer.config import with_compile
from training.recipe import fit_run
from training.run.run import Run
from training.seeding import generator
from training.state import State


@dataclass(frozen=True)
class DecisionTransformerConfig:
    """The Decision Transformer's numbers."""

    minibatch_size: int = 64
    """Sequences in one gradient step."""
    optimizer: OptimizerConfig = OptimizerConfig(
        kind="adamw", learning_rate=1e-4, weight_decay=1e-4, max_grad_norm=0.25, schedule=Schedule(warmup=0.1)
    )

    def __post_init__(self) -> None:
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")


class Windows:
    """Sequences [B, context, ...] from episodes; in each epoch every step begins one.

    They hold what the policy reads (see `DecisionTransformerPolicy.outputs`) and `valid` [B, context], which is False
    behind the end of an episode.
    """

    def __init__(
        self, episodes: Episodes, config: DecisionTransformerPolicyConfig, minibatch_size: int, seed: int
    ) -> None:
        starts, lengths = episodes.starts, episodes.lengths
        self._data = episodes.samples()
        self._data["return_to_go"] = torch.from_numpy((episodes.returns_to_go / config.return_scale).astype(np.float32))
        self._data["episode_step"] = torch.from_numpy(np.arange(episodes.steps) - np.repeat(starts, lengths))
        self._last = torch.from_numpy(np.repeat(starts + lengths - 1, lengths))  # [S] the last step of its episode
        self._offsets = torch.arange(config.context)
        self._begins = Shuffled({"step": torch.arange(episodes.steps)}, minibatch_size, seed=seed)

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        begins, after, metrics = self._begins.next(now)
        steps = begins["step"].unsqueeze(1) + self._offsets
        last = self._last[begins["step"]].unsqueeze(1)
        rows = torch.minimum(steps, last)
        return {**{key: value[rows] for key, value in self._data.items()}, "valid": steps <= last}, after, metrics

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: no sequence is preferred."""

    def state_dict(self) -> State:
        return self._begins.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._begins.load_state_dict(state)


class DecisionTransformer:
    """Learns from sequences [B, K]: makes each action more likely after what led to it and the return that came."""

    def __init__(self, policy: DecisionTransformerPolicy, config: DecisionTransformerConfig, *, until: Budget) -> None:
        self.policy = policy
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self._parts: Parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        batch = to_device(batch, self.policy.device)
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        return decision_transformer_loss(self.policy, batch)

    def state_dict(self) -> State:
        return save_parts(self.policy, self._parts)

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)


def decision_transformer_loss(policy: DecisionTransformerPolicy, batch: Batch) -> Loss:
    """The negative log-likelihood of every valid action of sequences [B, K, ...]."""
    valid = batch["valid"].float()
    total: Tensor = (policy.log_prob(batch) * valid).sum()
    return Loss(-total, valid.sum(), {})


@dataclass(frozen=True, kw_only=True)
class DecisionTransformerRunConfig(OfflineConfig):
    """What to learn from, with what policy."""

    agent: DecisionTransformerConfig = DecisionTransformerConfig()
    policy: DecisionTransformerPolicyConfig = DecisionTransformerPolicyConfig()


def train(config: DecisionTransformerRunConfig, run: Run) -> None:
    """One run of the Decision Transformer."""
    data = offline.read_data(config, run)
    spaces = data.observation_space, data.action_space
    policy = DecisionTransformerPolicy(*spaces, config.policy, generator(config.seed, "weights"))
    episodes, compute, until = offline.prepare(config, run, policy, data.episodes)
    agent = DecisionTransformer(policy, with_compile(config.agent, compute.compile), until=until)
    stream = Windows(episodes, config.policy, config.agent.minibatch_size, config.seed)
    with closing(offline.make_evaluation(config, data)) as evaluate:
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        acting.finish(run, agent, evaluate, now, checkpoint)
