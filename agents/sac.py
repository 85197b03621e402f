"""Soft actor-critic with a learned temperature (Haarnoja et al. 2018, arXiv:1812.05905, algorithm 1).

The target and the losses of actor and temperature are in `agents.updates.soft`, shared with TQC and CQL.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor import Actor, require_continuous
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import Critics
from agents.updates.minibatches import minibatches
from agents.updates.soft import SoftConfig, SoftLearning, soft_actor_loss, soft_target, with_action_noise
from training.core import Batch, Budget, Counters
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class SACConfig(SoftConfig):
    """SAC's hyperparameters; the defaults are the paper's (table 1)."""

    target_entropy: float | None = None
    """In nats; None: minus the number of action dimensions (the paper's appendix D)."""


class SAC(PolicyAndParts):
    """Learns from transitions [B, ...]: critics of the soft value, an actor that seeks value and entropy."""

    def __init__(self, policy: Actor, config: SACConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_continuous(policy, "SAC", ("gaussian", "state_dependent"))
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self._learning = SoftLearning(policy, self.critics, config, target_entropy=config.target_entropy, until=until)
        self.target = self._learning.target
        self._rng = generator(seed, "learning")
        self.parts: Parts = {**self._learning.parts, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = with_action_noise(batch, self.policy, self._rng)
        learning, measured = self._learning, list[Metrics]()
        for rows in minibatches(data, self._minibatch_size):
            measured.append(learning.critic_optimizer.step(self._critic_loss, data, now, rows))
            measured.append(learning.actor_optimizer.step(self._actor_loss, data, now, rows))  # and the temperature's
            learning.target_follows()
        self.policy.update_normalizers(data)
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        temperature = self._learning.temperature()
        goal = soft_target(self.policy, self.target, temperature, batch)
        values = self.critics(self.policy.seen(batch), batch["action"].flatten(1)).squeeze(-1)
        # Half the squared error, summed over the critics (equation 5).
        loss = 0.5 * (values - goal).square().sum(0)
        return Loss(loss.sum(), len(loss), {"value/mean": Mean(values.detach().mean(), len(loss))})

    def _actor_loss(self, batch: Batch) -> Loss:
        return soft_actor_loss(self.policy, self.critics.smallest, self._learning.temperature, batch)
