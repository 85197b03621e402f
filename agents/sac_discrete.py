"""Soft actor-critic for discrete actions (Christodoulou 2019, https://arxiv.org/abs/1910.07207, algorithm 1).

The critics value every action, so that expectations over the policy are sums instead of samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from agents.policies.actor import Actor
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import DiscreteCritics
from agents.updates.minibatches import minibatches
from agents.updates.soft import SoftConfig, SoftLearning
from training.core import Batch, Budget, Counters, to_device
from training.errors import UserError, require
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss
from training.seeding import generator


@dataclass(frozen=True, kw_only=True)
class SACDiscreteConfig(SoftConfig):
    """Discrete SAC's hyperparameters; the defaults are the continuous paper's where this one is silent."""

    target_entropy_fraction: float = 0.98
    """Of the entropy of a uniform policy (the paper's appendix A); where actions are masked, of one over those that are
    allowed on each observation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        fraction = self.target_entropy_fraction
        require(0 <= fraction < 1, "target_entropy_fraction", fraction, "a number from 0 to less than 1")


class SACDiscrete(PolicyAndParts):
    """Learns from transitions [B, ...]: critics of the soft value, an actor that seeks value and entropy."""

    def __init__(
        self, policy: Actor, config: SACDiscreteConfig, *, until: Budget, seed: int, minibatch_size: int
    ) -> None:
        if policy.continuous:
            raise UserError(f"action space {policy.action_space}: discrete SAC takes a Discrete one")
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        weights = generator(seed, "critics")
        self.critics = DiscreteCritics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        target_entropy = config.target_entropy_fraction * log(policy.head.size)  # where all actions are allowed
        self._learning = SoftLearning(policy, self.critics, config, target_entropy=target_entropy, until=until)
        self.target, self.parts = self._learning.target, self._learning.parts

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = to_device(batch, self.policy.device)
        learning, measured = self._learning, list[Metrics]()
        for rows in minibatches(data, self._minibatch_size):
            measured.append(learning.critic_optimizer.step(self._critic_loss, data, now, rows))
            measured.append(learning.actor_optimizer.step(self._actor_loss, data, now, rows))  # and the temperature's
            learning.target_follows()
        self.policy.update_normalizers(data)
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        temperature = self._learning.temperature()
        goal = discrete_soft_target(self.policy, self.target, temperature, batch)
        action = batch["action"].view(1, -1, 1).expand(self._config.critics, -1, 1)
        values = self.critics(self.policy.seen(batch)).gather(-1, action).squeeze(-1)
        # Half the squared error, summed over the critics (equation 4).
        loss = 0.5 * (values - goal).square().sum(0)
        return Loss(loss.sum(), len(loss), {"value/mean": Mean(values.detach().mean(), len(loss))})

    def _actor_loss(self, batch: Batch) -> Loss:
        log_p = self.policy.params(batch).log_softmax(-1)
        p = log_p.exp()
        with torch.no_grad():
            value = self.critics(self.policy.seen(batch)).amin(0)
        temperature = self._learning.temperature()
        entropy = -(p * log_p).sum(-1)
        # Equations 12 and 11; each is differentiated by its own parameters only.
        actor_loss = (p * (temperature * log_p - value)).sum(-1)
        measured: Metrics = {
            "policy/entropy": Mean(entropy.detach().mean(), len(entropy)),
            "policy/temperature": Mean(temperature),
        }
        temperature_loss = self._learning.temperature.loss(entropy, self._target_entropy(batch))
        return Loss((actor_loss + temperature_loss).sum(), len(entropy), measured)

    def _target_entropy(self, batch: Batch) -> Tensor | None:
        """Of each sample [B] where actions are masked: what a policy over the allowed ones can reach."""
        if "action_mask" not in batch:
            return None
        return self._config.target_entropy_fraction * batch["action_mask"].sum(-1).log()


@torch.no_grad()
def discrete_soft_target(policy: Actor, target: DiscreteCritics, temperature: Tensor, batch: Batch) -> Tensor:
    """reward + discount * sum_a pi(a) (min_i Q_i(next_obs, a) - temperature * log pi(a)), [B] (equations 3 and 10)."""
    log_p = policy.params(batch, "next_").log_softmax(-1)
    next_value = target(policy.seen(batch, "next_")).amin(0)
    soft_value = (log_p.exp() * (next_value - temperature * log_p)).sum(-1)
    goal: Tensor = batch["reward"] + batch["discount"] * soft_value
    return goal
