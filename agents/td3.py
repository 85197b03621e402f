"""Twin delayed deep deterministic policy gradients.

Fujimoto et al. 2018, https://arxiv.org/abs/1802.09477, algorithm 1. The critics' target and loss are in
`agents.updates.deterministic`, as TD3+BC and ReBRAC have them too.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor import Actor, require_continuous
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import Critics
from agents.updates.deterministic import (
    DeterministicLearning,
    SmoothedConfig,
    smoothed_critic_loss,
    with_smoothing_noise,
)
from agents.updates.minibatches import minibatches
from agents.updates.targets import GradientSteps
from training.core import Batch, Budget, Counters
from training.metrics import Metrics, merge_metrics
from training.optimizer import Loss
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class TD3Config(SmoothedConfig):
    """TD3's hyperparameters; the defaults are the paper's, with networks and step size of its published code."""


class TD3(PolicyAndParts):
    """Learns from transitions [B, ...]: two critics against overestimation, an actor that follows them later."""

    def __init__(self, policy: Actor, config: TD3Config, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_continuous(policy, "TD3", ("deterministic",))
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self._learning = DeterministicLearning(policy, self.critics, config, until=until)
        self._gradient_steps = GradientSteps()
        self._rng = generator(seed, "learning")
        self.parts: Parts = {**self._learning.parts, "rng": self._rng, "gradient_steps": self._gradient_steps}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = with_smoothing_noise(batch, self.policy, self._rng)
        learning, measured = self._learning, list[Metrics]()
        for rows in minibatches(data, self._minibatch_size):
            measured.append(learning.critic_optimizer.step(self._critic_loss, data, now, rows))
            if self._gradient_steps.count(every=self._config.policy_delay):
                measured.append(learning.actor_optimizer.step(self._actor_loss, data, now, rows))
                learning.targets_follow()
        self.policy.update_normalizers(data)
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        return smoothed_critic_loss(self._learning, self._config, batch)

    def _actor_loss(self, batch: Batch) -> Loss:
        value = self.critics(self.policy.seen(batch), self.policy.action(batch), members=1).flatten()
        return Loss(-value.sum(), len(value), {})
