"""What actor-critics with a deterministic actor share: targets of actor and critics, and steps, some of them of both.

An algorithm hands in its two losses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from agents.actor import Actor
from agents.critics import Critics
from agents.parts import Parts, prefixed
from agents.targets import follower, frozen_copy
from training.core import Batch, Budget, Counters
from training.metrics import Metrics
from training.optimizer import Loss, Optimizer
from training.optimizer_config import OptimizerConfig


class DeterministicConfig(Protocol):
    """What every one of these algorithms' configs says."""

    @property
    def tau(self) -> float: ...

    @property
    def actor_optimizer(self) -> OptimizerConfig: ...

    @property
    def critic_optimizer(self) -> OptimizerConfig: ...


class DeterministicLearning:
    """Critics, the targets, the optimizers and their steps; `parts` and `gradient_steps` are what is saved of them.

    In every `actor_gradient_steps`-th step the actor takes one too, and the targets follow. With `whole_batch` its loss
    is of all samples together.
    """

    def __init__(
        self,
        policy: Actor,
        critics: Critics,
        config: DeterministicConfig,
        *,
        until: Budget,
        actor_gradient_steps: int,
        whole_batch: bool = False,
    ) -> None:
        self.policy, self.critics = policy, critics
        self.target_policy, self.target = frozen_copy(policy), frozen_copy(critics)
        self.gradient_steps = 0
        self._actor_gradient_steps = actor_gradient_steps
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
        if self.gradient_steps % self._actor_gradient_steps == 0:
            measured.append(self._actor_optimizer.step(actor_loss, data, now, rows))
            self._target_policy_follows()
            self._target_follows()
        return measured
