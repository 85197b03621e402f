"""Policy distillation (Rusu et al. 2016, https://arxiv.org/abs/1511.06295): a small policy does what a trained one did.

The teacher plays; the student learns from what it saw and what it would have said of it: of discrete actions by the
divergence of equation 3, of continuous ones by the squared error of their means.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.policy import PolicyAndParts
from agents.recipes import acting, offline
from agents.recipes.cloning import samples
from agents.recipes.offline import OfflineConfig
from training.core import Batch, Budget, Counters, to_device
from training.data.streams import Shuffled
from training.errors import UserError, require
from training.metrics import Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.optimizer.config import with_compile
from training.recipe import fit_run
from training.run.run import Run
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True)
class PolicyDistillationConfig:
    """Policy distillation's numbers."""

    minibatch_size: int = 256
    temperature: float = 1.0
    """The teacher's logits are divided by it: below 1 its likeliest action counts for more."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-3)

    def __post_init__(self) -> None:
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        require(self.temperature > 0, "temperature", self.temperature, "a number above 0")


class PolicyDistillation(PolicyAndParts):
    """Learns from observations [B, ...] what the teacher says of them. The student's critic learns nothing.

    Raises UserError for actions that are neither one discrete nor continuous ones, and for a teacher of other spaces.
    """

    def __init__(
        self, policy: ActorCritic, teacher: ActorCritic, config: PolicyDistillationConfig, *, until: Budget
    ) -> None:
        check_spaces(policy, teacher)
        self.policy, self._teacher, self._config = policy, teacher.to(policy.device), config
        actor = {name: weight for name, weight in policy.named_parameters() if not name.startswith("critic")}
        self._optimizer = Optimizer(actor, config.optimizer, until=until)
        self.parts: Parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        batch = to_device(batch, self.policy.device)
        with torch.no_grad():
            batch["taught"] = said(self._teacher, batch)
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        outputs, taught = said(self.policy, batch), batch["taught"]
        if isinstance(next(iter(self.policy.action_spaces.values())), spaces.Discrete):
            return divergence(outputs, taught, self._config.temperature)
        errors = (outputs - taught).square().sum(-1)
        return Loss(errors.sum(), len(errors), {})


def said(policy: ActorCritic, batch: Batch) -> Tensor:
    """What the actor says of observations: logits or means [B, size]."""
    outputs: Tensor = policy.actor(policy.actor_encoder(policy.normalized(batch)))
    return outputs


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> Loss:
    """Equation 3: KL(softmax(teacher / temperature) || softmax(student)) of logits [B, actions]."""
    target = F.log_softmax(teacher / temperature, -1)
    losses = F.kl_div(F.log_softmax(student, -1), target, log_target=True, reduction="none").sum(-1)
    return Loss(losses.sum(), len(losses), {})


def check_spaces(policy: ActorCritic, teacher: ActorCritic) -> None:
    """Raises UserError where the student cannot learn from the teacher."""
    for kind, own, other in (
        ("observations", policy.observation_space, teacher.observation_space),
        ("actions", policy.action_space, teacher.action_space),
    ):
        if own != other:
            raise UserError(f"the teacher's {kind} are {other}, the student's {own}: they take the same")
    space = policy.action_space
    if not isinstance(space, spaces.Discrete | spaces.Box):
        raise UserError(f"policy distillation takes Discrete or Box actions, not {space}")
    if policy.config.squash != teacher.config.squash:
        raise UserError("policy.squash: it takes that of the teacher")


@dataclass(frozen=True, kw_only=True)
class PolicyDistillationRunConfig(OfflineConfig):
    """What the student learns from, and its shape."""

    agent: PolicyDistillationConfig = PolicyDistillationConfig()
    policy: ActorCriticConfig = ActorCriticConfig()


def train(config: PolicyDistillationRunConfig, run: Run, teacher: ActorCritic) -> None:
    """One run; the dataset holds what the teacher lived through."""
    data = offline.read_data(config, config.dataset, run)
    policy = ActorCritic(data.observation_space, data.action_space, config.policy, generator(config.seed, "weights"))
    episodes, compute, until = offline.prepare(config, run, policy, data.episodes)
    agent = PolicyDistillation(policy, teacher, with_compile(config.agent, compute.compile), until=until)
    seen = {key: value for key, value in samples(episodes).items() if key in policy.obs_spaces}
    stream = Shuffled(seen, config.agent.minibatch_size, seed=config.seed)
    with closing(acting.make_evaluation(config, run, behaviour_return=data.behaviour_return)) as evaluate:
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        acting.finish(run, agent, evaluate, now, checkpoint)
