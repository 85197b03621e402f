"""What actor-critics with a deterministic actor share: targets of actor and critics, and steps, some of them of both.

An algorithm hands in its two losses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from agents.policies.actor import Actor
from agents.updates.critics import Critics
from agents.updates.parts import Parts, prefixed
from agents.updates.targets import FollowingConfig, check_following, follower, frozen_copy
from training.core import Batch, Budget, Counters
from training.errors import require
from training.metrics import Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig


class DeterministicConfig(FollowingConfig, Protocol):
    """What every one of these algorithms' configs says."""

    @property
    def actor_optimizer(self) -> OptimizerConfig: ...

    @property
    def critic_optimizer(self) -> OptimizerConfig: ...


class SmoothedConfig(DeterministicConfig, Protocol):
    """What those say whose critics learn from smoothed targets."""

    @property
    def critics(self) -> int: ...

    @property
    def policy_delay(self) -> int: ...

    @property
    def smoothing_std(self) -> float: ...

    @property
    def smoothing_clip(self) -> float: ...


def check_smoothed(config: SmoothedConfig) -> None:
    """The checks of what all of these configs say."""
    check_following(config)
    for key in ("critics", "policy_delay"):
        require(getattr(config, key) >= 1, key, getattr(config, key), "at least 1")
    for key in ("smoothing_std", "smoothing_clip"):
        require(getattr(config, key) >= 0, key, getattr(config, key), "a number of at least 0")


class DeterministicLearning:
    """Critics, the targets, the optimizers and their steps; `parts` and `gradient_steps` are what is saved of them.

    In every `policy_delay`-th step the actor takes one too, and the targets follow. With `whole_batch` its loss
    is of all samples together.
    """

    def __init__(
        self,
        policy: Actor,
        critics: Critics,
        config: DeterministicConfig,
        *,
        until: Budget,
        policy_delay: int,
        whole_batch: bool = False,
    ) -> None:
        self.policy, self.critics = policy, critics
        self.target_policy, self.target = frozen_copy(policy), frozen_copy(critics)
        self.gradient_steps = 0
        self._policy_delay = policy_delay
        self._target_policy_follows = follower(self.target_policy, policy, config.tau)
        self._target_follows = follower(self.target, critics, config.tau)
        acting, judging = dict(policy.named_parameters()), prefixed("critics", critics)
        self._actor_optimizer = Optimizer(
            acting, config.actor_optimizer, until=until, name="actor", whole_batch=whole_batch
        )
        self._critic_optimizer = Optimizer(judging, config.critic_optimizer, until=until, name="critic")
        self.parts: Parts = {
            "critics": self.critics,
            "target_policy": self.target_policy,
            "target": self.target,
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
        """One gradient step of the critics and, when it is time, of the actor."""
        measured = [self._critic_optimizer.step(critic_loss, data, now, rows)]
        self.gradient_steps += 1
        if self.gradient_steps % self._policy_delay == 0:
            measured.append(self._actor_optimizer.step(actor_loss, data, now, rows))
            self._target_policy_follows()
            self._target_follows()
        return measured
