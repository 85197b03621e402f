"""ReBRAC (Tarasov et al. 2023, https://arxiv.org/abs/2305.09836): TD3+BC whose critics are penalized as well.

The actor and the critics' target each pay for their distance from the actions of the data, by weights of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor import Actor
from agents.updates.deterministic import SmoothedConfig, TD3FromData, smoothed_critic_loss
from training.core import Batch, Budget, Counters
from training.errors import require
from training.metrics import Mean, Metrics
from training.networks import NetworkConfig
from training.optimizer import Loss, OptimizerConfig

FAST = OptimizerConfig(learning_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class ReBRACConfig(SmoothedConfig):
    """ReBRAC's hyperparameters; the defaults are those that the paper and its published code share over MuJoCo.

    The paper chooses both penalties for each dataset.
    """

    minibatch_size: int = 1024
    actor_penalty: float = 0.01
    """Of the squared distance from the data's action, summed over its dimensions, beside the value relative to its
    mean size: beta 1."""
    critic_penalty: float = 0.01
    """Of the same distance at the next observation, beside its value as it is: beta 2."""
    critic_network: NetworkConfig = NetworkConfig(hidden=(256, 256, 256), activation="relu", layer_norm=True)
    actor_optimizer: OptimizerConfig = FAST
    critic_optimizer: OptimizerConfig = FAST

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        for key in ("actor_penalty", "critic_penalty"):
            require(getattr(self, key) >= 0, key, getattr(self, key), "a number of at least 0")


class ReBRAC(TD3FromData):
    """Learns from transitions [B, ...] of a dataset, with the action that followed each."""

    def __init__(self, policy: Actor, config: ReBRACConfig, *, until: Budget, seed: int) -> None:
        super().__init__(policy, config, until=until, seed=seed)
        self._config = config

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self.take_steps(batch, now), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        return smoothed_critic_loss(self._learning, self._config, batch, penalty=self._config.critic_penalty)

    def _actor_loss(self, batch: Batch) -> Loss:
        action = self.policy.action(batch)
        value = self.critics.smallest(self.policy.seen(batch), action)
        distance = (action - batch["action"].flatten(1)).square().sum(-1)
        loss = self._config.actor_penalty * distance - value / value.detach().abs().mean()
        return Loss(loss.sum(), len(loss), {"policy/distance": Mean(distance.detach().mean(), len(loss))})
