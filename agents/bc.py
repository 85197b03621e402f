"""Behaviour cloning: do what the data do (Pomerleau 1991, "Efficient training of artificial neural networks for
autonomous navigation"), by the likelihood of their actions.

With `top_fraction` below 1 only the episodes with the highest returns are cloned, the "%BC" of Chen et al. 2021
(https://arxiv.org/abs/2106.01345, section 5.1). Batch size and step size are those of BC in Fujimoto and Gu 2021
(https://arxiv.org/abs/2106.06860, appendix C).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.recipes import acting, offline
from agents.recipes.offline import OfflineConfig
from agents.updates.parts import Parts, load_parts, save_parts
from envs.episodes.episodes import Episodes
from training.core import Batch, Budget, Counters, to_device
from training.data.streams import Shuffled
from training.errors import require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.optimizer.config import with_compile
from training.recipe import fit_run
from training.run.run import Run
from training.seeding import generator
from training.state import State


@dataclass(frozen=True)
class BCConfig:
    """Behaviour cloning's numbers."""

    minibatch_size: int = 256
    top_fraction: float = 1.0
    """Of the episodes, those with the highest returns."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)

    def __post_init__(self) -> None:
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        require(0 < self.top_fraction <= 1, "top_fraction", self.top_fraction, "a number above 0, up to 1")


class BC:
    """Learns from samples [B]: makes the policy's actor more likely to do what they did. Its critic learns nothing."""

    def __init__(self, policy: ActorCritic, config: BCConfig, *, until: Budget) -> None:
        self.policy = policy
        actor = {name: weight for name, weight in policy.named_parameters() if not name.startswith("critic")}
        self._optimizer = Optimizer(actor, config.optimizer, until=until)
        self._parts: Parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        batch = to_device(batch, self.policy.device)
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        return bc_loss(self.policy, batch)

    def state_dict(self) -> State:
        return save_parts(self.policy, self._parts)

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)


def bc_loss(policy: ActorCritic, batch: Batch) -> Loss:
    """The negative log-likelihood of the actions of samples [B, ...], which hold observations and actions."""
    log_prob = policy.log_prob(batch)
    return Loss(-log_prob.sum(), len(log_prob), {"policy/log_prob": Mean(log_prob.detach().mean(), len(log_prob))})


@dataclass(frozen=True, kw_only=True)
class BCRunConfig(OfflineConfig):
    """What to clone, with what policy."""

    agent: BCConfig = BCConfig()
    policy: ActorCriticConfig = ActorCriticConfig()


def train(config: BCRunConfig, run: Run) -> None:
    """One run of behaviour cloning."""
    data = offline.read_data(config, run, top_fraction=config.agent.top_fraction)
    policy = ActorCritic(data.observation_space, data.action_space, config.policy, generator(config.seed, "weights"))
    episodes, compute, until = offline.prepare(config, run, policy, data.episodes)
    agent = BC(policy, with_compile(config.agent, compute.compile), until=until)
    stream = Shuffled(samples(episodes), config.agent.minibatch_size, seed=config.seed)
    with closing(offline.make_evaluation(config, data)) as evaluate:
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        acting.finish(run, agent, evaluate, now, checkpoint)


def samples(episodes: Episodes) -> Batch:
    """Every step [S, ...]: what was seen, and what was done."""
    return {key: value for key, value in episodes.samples().items() if key.split("/")[0] in ("obs", "action")}
