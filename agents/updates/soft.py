"""What soft actor-critics share: a learned temperature, critics with their target, and one gradient step of both sides.

An algorithm hands in its two losses.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from agents.policies.actor import Actor
from agents.updates.parts import Parts, prefixed
from agents.updates.targets import FollowingConfig, check_following, follower, frozen_copy
from training.core import Batch, Budget, Counters
from training.errors import require
from training.metrics import Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig

C = TypeVar("C", bound=nn.Module)


class Temperature(nn.Module):
    """What entropy is worth: it rises while the policy's is below `target_entropy` (nats), and falls while above."""

    def __init__(self, initial: float, target_entropy: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(log(initial)))
        self._target_entropy = target_entropy

    def forward(self) -> Tensor:
        """The temperature [], without its gradient."""
        return self.log.detach().exp()

    def loss(self, entropy: Tensor) -> Tensor:
        """For estimates of the policy's entropy [B]: [B] (Haarnoja et al. 2018, arXiv:1812.05905, equation 18)."""
        return self.log.exp() * (entropy.detach() - self._target_entropy)


class SoftConfig(FollowingConfig, Protocol):
    """What every one of these algorithms' configs says."""

    @property
    def critics(self) -> int: ...

    @property
    def initial_temperature(self) -> float: ...

    @property
    def actor_optimizer(self) -> OptimizerConfig: ...

    @property
    def critic_optimizer(self) -> OptimizerConfig: ...


def check(config: SoftConfig) -> None:
    """The checks of what all of these configs say."""
    check_following(config)
    require(config.critics >= 1, "critics", config.critics, "at least 1")
    start = config.initial_temperature
    require(start > 0, "initial_temperature", start, "a number above 0")


class SoftLearning(Generic[C]):
    """Critics, their target, the temperature and the optimizers; `parts` are what is saved of them.

    `target_entropy` is in nats; None: minus the number of action dimensions.
    """

    def __init__(
        self, policy: Actor, critics: C, config: SoftConfig, *, target_entropy: float | None, until: Budget
    ) -> None:
        self.critics, self.target = critics, frozen_copy(critics)
        self._target_follows = follower(self.target, critics, config.tau)
        entropy = -float(policy.head.size) if target_entropy is None else target_entropy
        self.temperature = Temperature(config.initial_temperature, entropy).to(policy.device)
        acting = {**dict(policy.named_parameters()), "log_temperature": self.temperature.log}
        judging = prefixed("critics", critics)
        self._actor_optimizer = Optimizer(acting, config.actor_optimizer, until=until, name="actor")
        self._critic_optimizer = Optimizer(judging, config.critic_optimizer, until=until, name="critic")
        self.parts: Parts = {
            "critics": self.critics,
            "target": self.target,
            "temperature": self.temperature,
            "actor_optimizer": self._actor_optimizer,
            "critic_optimizer": self._critic_optimizer,
        }

    def step(
        self,
        critic_loss: Callable[[Batch], Loss],
        actor_loss: Callable[[Batch], Loss],
        data: Batch,
        now: Counters,
        rows: Tensor | None = None,
    ) -> list[Metrics]:
        """One gradient step of the critics, then of actor and temperature; the target follows."""
        measured = [
            self._critic_optimizer.step(critic_loss, data, now, rows),
            self._actor_optimizer.step(actor_loss, data, now, rows),
        ]
        self._target_follows()
        return measured
