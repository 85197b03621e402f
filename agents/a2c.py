"""Advantage actor-critic (Mnih et al. 2016, https://arxiv.org/abs/1602.01783, algorithm S3), synchronous.

One gradient step on each short rollout. Horizon, gamma and entropy are the paper's; step size, value coefficient and
clipping are those of the synchronous version in OpenAI Baselines, whose losses are means as here. RMSProp's eps is that
of Stable-Baselines3: Baselines has the same number under TensorFlow's root, where it is sqrt(1e-5) beside torch's.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import PolicyAndParts
from agents.updates.configs import GAEConfig
from agents.updates.estimators import gae
from agents.updates.losses import actor_critic_loss
from agents.updates.rollout_samples import continues, discount, explained_variance, to_samples, values
from training.core import Batch, Budget, Counters, to_device
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class A2CConfig(GAEConfig):
    """A2C's hyperparameters."""

    horizon: int = 5
    gae_lambda: float = 1.0
    """1 is the paper's n-step return."""
    entropy_coefficient: float = 0.01
    optimizer: OptimizerConfig = OptimizerConfig(kind="rmsprop", learning_rate=7e-4, eps=1e-5, max_grad_norm=0.5)


class A2C(PolicyAndParts):
    """Learns from rollouts [T, N]: one policy-gradient step on each."""

    def __init__(self, policy: ActorCritic, config: A2CConfig, *, until: Budget, seed: int) -> None:
        self.policy = policy
        self._config = config
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self.parts: Parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        batch = to_device(batch, self.policy.device)
        value, next_value = values(self.policy, batch)
        advantage = gae(
            batch["reward"], discount(batch, config.gamma), value, next_value, continues(batch), config.gae_lambda
        )
        data = to_samples(batch, {"advantage": advantage, "value": value, "return": advantage + value})
        metrics = self._optimizer.step(self._loss, data, now)
        self.policy.update_normalizers(data)
        metrics["value/explained_variance"] = Mean(explained_variance(data["value"], data["return"]))
        return metrics, {}

    def _loss(self, batch: Batch) -> Loss:
        return actor_critic_loss(self.policy, self._config, batch)
