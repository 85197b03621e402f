"""Truncated quantile critics (Kuznetsov et al. 2020, https://arxiv.org/abs/2005.04269, algorithm 1).

Soft actor-critic whose critics estimate quantiles; against overestimation, the target leaves out the largest ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.policies.actor import Actor, require_continuous
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import Critics
from agents.updates.losses import quantile_huber
from agents.updates.minibatches import minibatches
from agents.updates.soft import SoftConfig, SoftLearning, soft_actor_loss, with_action_noise
from training.core import Batch, Budget, Counters
from training.errors import require
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class TQCConfig(SoftConfig):
    """TQC's hyperparameters; the defaults are the paper's (its appendix B), with critics of SAC's size."""

    critics: int = 5
    """All of their quantiles are pooled."""
    quantiles: int = 25
    """Of each critic."""
    dropped_quantiles: int = 2
    """For each critic, of all the critics' quantiles together: the largest."""
    target_entropy: float | None = None
    """In nats; None: minus the number of action dimensions."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.quantiles >= 1, "quantiles", self.quantiles, "at least 1")
        dropped = self.dropped_quantiles
        require(0 <= dropped < self.quantiles, "dropped_quantiles", dropped, f"0 to {self.quantiles - 1}")


class TQC(PolicyAndParts):
    """Learns from transitions [B, ...]: quantiles of the soft value, an actor that seeks their mean and entropy."""

    def __init__(self, policy: Actor, config: TQCConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_continuous(policy, "TQC", ("gaussian", "state_dependent"))
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        weights = generator(seed, "critics")
        members, outputs = config.critics, config.quantiles
        self.critics = Critics(policy, config.critic_network, weights, members=members, outputs=outputs)
        self.critics.to(policy.device)
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
        temperature, config = self._learning.temperature(), self._config
        kept = config.critics * (config.quantiles - config.dropped_quantiles)
        goal = truncated_target(self.policy, self.target, temperature, kept, batch)
        quantiles = self.critics(self.policy.seen(batch), batch["action"].flatten(1))
        # Averaged over quantiles and targets, summed over the critics (section 3.3).
        loss = quantile_huber(quantiles, goal).sum(0) / config.quantiles
        return Loss(loss.sum(), len(loss), {"value/mean": Mean(quantiles.detach().mean(), len(loss))})

    def _actor_loss(self, batch: Batch) -> Loss:
        return soft_actor_loss(self.policy, self._value, self._learning.temperature, batch)

    def _value(self, obs: Batch, action: Tensor) -> Tensor:
        """The mean of all critics' quantiles, [B]."""
        value: Tensor = self.critics(obs, action).mean((0, -1))
        return value


@torch.no_grad()
def truncated_target(policy: Actor, target: Critics, temperature: Tensor, kept: int, batch: Batch) -> Tensor:
    """reward + discount * (z_i(next_obs, a') - temperature * log pi(a')) for the `kept` smallest z_i, [B, kept].

    `next_noise` [B, n] makes the next actions a' (section 3.3).
    """
    next_action, log_prob = policy.reparametrized(batch, batch["next_noise"], "next_")
    quantiles = target(policy.seen(batch, "next_"), next_action).movedim(0, 1).flatten(1)
    smallest = quantiles.sort(-1).values[:, :kept]
    next_value = smallest - (temperature * log_prob).unsqueeze(-1)
    goal: Tensor = batch["reward"].unsqueeze(-1) + batch["discount"].unsqueeze(-1) * next_value
    return goal
