"""IMPALA: acting never waits for learning, and V-trace corrects for it (Espeholt et al. 2018, arXiv:1802.01561).

Workers act with policies that may be some updates old (see `agents/acting/ray_collector.py`); V-trace corrects for
how they differ from the newest one. Without workers, or with a lag of 0, there is nothing to correct, and this
is A2C with n-step returns. The defaults are the paper's for single Atari games (appendix G, table G.1), in the scale of
a mean: its losses are summed over the samples of a batch, and half of the squared value error counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import PolicyAndParts
from agents.updates.configs import VTraceConfig
from agents.updates.losses import actor_critic_loss
from agents.updates.rollout_samples import explained_variance, to_samples, with_vtrace
from training.core import Batch, Budget, Counters, to_device
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.state import Parts

PAPER_SAMPLES = 32 * 20
"""Of a batch in the paper: rollouts times steps. Its sum is so many times the mean that is learned from here."""


@dataclass(frozen=True, kw_only=True)
class IMPALAConfig(VTraceConfig):
    """IMPALA's hyperparameters."""

    horizon: int = 20
    entropy_coefficient: float = 0.01
    value_coefficient: float = 0.25
    """The paper's 0.5, of half the squared error."""
    optimizer: OptimizerConfig = OptimizerConfig(
        kind="rmsprop",
        learning_rate=6e-4,
        schedule=Schedule("linear"),
        # 0.01 under TensorFlow's root is 0.1 beside torch's.
        eps=0.01**0.5 / PAPER_SAMPLES,
        max_grad_norm=40.0 / PAPER_SAMPLES,
    )


class IMPALA(PolicyAndParts):
    """Learns from rollouts [T, N]: one policy-gradient step on each."""

    def __init__(self, policy: ActorCritic, config: IMPALAConfig, *, until: Budget, seed: int) -> None:
        self.policy = policy
        self._config = config
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self.parts: Parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        batch = to_device(batch, self.policy.device)
        targets = with_vtrace(self.policy, batch, config)
        # The policy gradient of section 4.2: rho * grad log pi * (r + gamma * vs' - v).
        targets["advantage"] = targets["advantage"] * targets["ratio"].clamp(max=config.clip_rho)
        data = to_samples(batch, targets)
        value, ratio = data.pop("value"), data.pop("ratio")  # only measured
        metrics = self._optimizer.step(self._loss, data, now)
        self.policy.update_normalizers(data)
        metrics["value/explained_variance"] = Mean(explained_variance(value, data["return"]))
        metrics["policy/clipped_fraction"] = Mean((ratio > config.clip_rho).float().mean())
        return metrics, {}

    def _loss(self, batch: Batch) -> Loss:
        return actor_critic_loss(self.policy, self._config, batch)
