"""TD3 with behaviour cloning, for datasets (Fujimoto and Gu 2021, https://arxiv.org/abs/2106.06860).

The critics are TD3's; the actor seeks value and stays near the actions of the data.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor import Actor
from agents.updates.deterministic import SmoothedConfig, TD3FromData, smoothed_critic_loss
from training.core import Batch, Budget, Counters
from training.errors import require
from training.metrics import Mean, Metrics
from training.optimizer import Loss


@dataclass(frozen=True, kw_only=True)
class TD3BCConfig(SmoothedConfig):
    """TD3+BC's hyperparameters; the defaults are the paper's (table 3).

    The paper also normalizes the observations: `policy.normalize_observation`.
    """

    minibatch_size: int = 256
    value_weight: float = 2.5
    """Of the value, relative to its mean size, beside the squared distance from the data's actions: alpha."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        require(self.value_weight >= 0, "value_weight", self.value_weight, "a number of at least 0")
        parts = self.actor_optimizer.micro_batches
        require(parts == 1, "actor_optimizer.micro_batches", parts, "1: the value's weight is of the whole minibatch")


class TD3BC(TD3FromData):
    """Learns from transitions [B, ...] of a dataset."""

    def __init__(self, policy: Actor, config: TD3BCConfig, *, until: Budget, seed: int) -> None:
        super().__init__(policy, config, until=until, seed=seed)
        self._config = config

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self.take_steps(batch, now), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        return smoothed_critic_loss(self._learning, self._config, batch)

    def _actor_loss(self, batch: Batch) -> Loss:
        action = self.policy.action(batch)
        value = self.critics(self.policy.seen(batch), action, members=1).flatten()
        distance = (action - batch["action"].flatten(1)).square().mean(-1)
        loss = distance - self._config.value_weight / value.detach().abs().mean() * value  # equations 3 and 5
        return Loss(loss.sum(), len(loss), {"policy/distance": Mean(distance.detach().mean(), len(loss))})
