"""Implicit Q-learning (Kostrikov et al. 2022, https://arxiv.org/abs/2110.06169, algorithm 1).

Values are learned from the dataset's actions alone: an expectile of their values says how good the better ones are. The
policy then imitates the actions that were better than that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.policies.actor import Actor, require_continuous
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import Critics, FollowedCriticsConfig, StateValue, prefixed
from agents.updates.losses import weighted_imitation_loss
from agents.updates.targets import follower, frozen_copy
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class IQLConfig(FollowedCriticsConfig):
    """IQL's hyperparameters; the defaults are the paper's for locomotion (its appendix B)."""

    minibatch_size: int = 256
    expectile: float = 0.7
    """0.5 is the mean of the data's actions; near 1 it is the best of them."""
    inverse_temperature: float = 3.0
    """How much more the policy does what was better: beta."""
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4, schedule=Schedule("cosine"))
    critic_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)
    """Of the critics and of the values."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        require(0 < self.expectile < 1, "expectile", self.expectile, "a number between 0 and 1")
        beta = self.inverse_temperature
        require(beta >= 0, "inverse_temperature", beta, "a number of at least 0")


class IQL(PolicyAndParts):
    """Learns from transitions [B, ...] of a dataset."""

    def __init__(self, policy: Actor, config: IQLConfig, *, until: Budget, seed: int) -> None:
        require_continuous(policy, "IQL", ("gaussian",))
        self.policy, self._config = policy, config
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self.target = frozen_copy(self.critics)
        self._target_follows = follower(self.target, self.critics, config.tau)
        self._value = StateValue(policy, config.critic_network, weights).to(policy.device)
        acting = dict(policy.named_parameters())
        self._actor_optimizer = Optimizer(acting, config.actor_optimizer, until=until, name="actor")
        judging = prefixed("critics", self.critics)
        self._critic_optimizer = Optimizer(judging, config.critic_optimizer, until=until, name="critic")
        valuing = prefixed("value", self._value)
        self._value_optimizer = Optimizer(valuing, config.critic_optimizer, until=until, name="value")
        self.parts: Parts = {
            "critics": self.critics,
            "target": self.target,
            "value": self._value,
            "actor_optimizer": self._actor_optimizer,
            "critic_optimizer": self._critic_optimizer,
            "value_optimizer": self._value_optimizer,
        }

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = to_device(batch, self.policy.device)
        measured = [
            self._value_optimizer.step(self._value_loss, data, now),
            self._actor_optimizer.step(self._actor_loss, data, now),
            self._critic_optimizer.step(self._critic_loss, data, now),
        ]
        self._target_follows()
        return merge_metrics(measured), {}

    def _value_loss(self, batch: Batch) -> Loss:
        value = self._value(self.policy.seen(batch))
        loss = expectile_loss(self._target_value(batch) - value, self._config.expectile)
        return Loss(loss.sum(), len(loss), {"value/mean": Mean(value.detach().mean(), len(loss))})

    def _critic_loss(self, batch: Batch) -> Loss:
        with torch.no_grad():
            goal = batch["reward"] + batch["discount"] * self._value(self.policy.seen(batch, "next_"))
        values = self.critics(self.policy.seen(batch), batch["action"].flatten(1)).squeeze(-1)
        loss = (values - goal).square().sum(0)  # equation 6, for each critic
        return Loss(loss.sum(), len(loss), {})

    def _actor_loss(self, batch: Batch) -> Loss:
        with torch.no_grad():
            advantage = self._target_value(batch) - self._value(self.policy.seen(batch))
        return weighted_imitation_loss(self.policy, batch, advantage, self._config.inverse_temperature)  # equation 7

    @torch.no_grad()
    def _target_value(self, batch: Batch) -> Tensor:
        """What the action of the data is worth, [B]."""
        return self.target.smallest(self.policy.seen(batch), batch["action"].flatten(1))


def expectile_loss(error: Tensor, expectile: float) -> Tensor:
    """|expectile - 1(error < 0)| * error^2, [...] (equation 5)."""
    return (expectile - (error < 0).float()).abs() * error.square()
