"""Advantage-weighted actor-critic, AWAC (Nair et al. 2020, https://arxiv.org/abs/2006.09359, algorithm 1).

The critics are learned as an actor-critic learns them, with actions of the policy; the policy imitates the actions of
the data, the more the better they are than its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from agents.policies.actor import Actor, require_continuous
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import Critics, FollowedCriticsConfig, prefixed
from agents.updates.losses import weighted_imitation_loss
from agents.updates.soft import soft_target, with_action_noise
from agents.updates.targets import follower, frozen_copy
from training.core import Batch, Budget, Counters
from training.errors import require
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class AWACConfig(FollowedCriticsConfig):
    """AWAC's hyperparameters; the defaults are those of CORL over MuJoCo."""

    minibatch_size: int = 256
    inverse_temperature: float = 1.0
    """How much more the policy does what was better: 1 / lambda."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        beta = self.inverse_temperature
        require(beta >= 0, "inverse_temperature", beta, "a number of at least 0")


class AWAC(PolicyAndParts):
    """Learns from transitions [B, ...] of a dataset."""

    def __init__(self, policy: Actor, config: AWACConfig, *, until: Budget, seed: int) -> None:
        require_continuous(policy, "AWAC", ("gaussian",))
        self.policy, self._config = policy, config
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self.target = frozen_copy(self.critics)
        self._target_follows = follower(self.target, self.critics, config.tau)
        acting, judging = dict(policy.named_parameters()), prefixed("critics", self.critics)
        self._actor_optimizer = Optimizer(acting, config.actor_optimizer, until=until, name="actor")
        self._critic_optimizer = Optimizer(judging, config.critic_optimizer, until=until, name="critic")
        self._rng = generator(seed, "learning")
        self.parts: Parts = {
            "critics": self.critics,
            "target": self.target,
            "actor_optimizer": self._actor_optimizer,
            "critic_optimizer": self._critic_optimizer,
            "rng": self._rng,
        }

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = with_action_noise(batch, self.policy, self._rng)
        measured = [
            self._critic_optimizer.step(self._critic_loss, data, now),
            self._actor_optimizer.step(self._actor_loss, data, now),
        ]
        self._target_follows()
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        goal = soft_target(self.policy, self.target, torch.zeros(()), batch)  # without entropy: equation 5
        values = self.critics(self.policy.seen(batch), batch["action"].flatten(1)).squeeze(-1)
        loss = (values - goal).square().sum(0)
        return Loss(loss.sum(), len(loss), {"value/mean": Mean(values.detach().mean(), len(loss))})

    def _actor_loss(self, batch: Batch) -> Loss:
        with torch.no_grad():
            obs = self.policy.seen(batch)
            own, _ = self.policy.reparametrized(batch, batch["noise"])
            advantage = self.critics.smallest(obs, batch["action"].flatten(1)) - self.critics.smallest(obs, own)
        return weighted_imitation_loss(self.policy, batch, advantage, self._config.inverse_temperature)  # equation 8
