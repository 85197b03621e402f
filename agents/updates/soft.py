"""What soft actor-critics share: a learned temperature, and critics with their target."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from agents.policies.actor import Actor
from agents.updates.critics import Critics, CriticsConfig, FollowedCriticsConfig, prefixed
from agents.updates.targets import follower, frozen_copy
from training.core import Batch, Budget, moved, to_device
from training.errors import require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.state import Parts

C = TypeVar("C", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class TemperatureConfig(CriticsConfig):
    """Of every soft actor-critic."""

    initial_temperature: float = 1.0
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)
    """Also of the temperature."""

    def __post_init__(self) -> None:
        super().__post_init__()
        start = self.initial_temperature
        require(start > 0, "initial_temperature", start, "a number above 0")


@dataclass(frozen=True, kw_only=True)
class SoftConfig(TemperatureConfig, FollowedCriticsConfig):
    """Of those whose critics a target follows."""


class Temperature(nn.Module):
    """What entropy is worth: it rises while the policy's is below `target_entropy` (nats), and falls while above."""

    def __init__(self, initial: float, target_entropy: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(log(initial)))
        self._target_entropy = target_entropy

    def forward(self) -> Tensor:
        """The temperature [], without its gradient."""
        return self.log.detach().exp()

    def loss(self, entropy: Tensor, target_entropy: Tensor | None = None) -> Tensor:
        """For estimates of the policy's entropy [B]: [B] (Haarnoja et al. 2018, arXiv:1812.05905, equation 18).

        `target_entropy` [B] takes the place of the constant one where samples differ in it.
        """
        return self.log.exp() * (
            entropy.detach() - (self._target_entropy if target_entropy is None else target_entropy)
        )


class TemperatureLearning(Generic[C]):
    """What is learned beside the policy, with the optimizers; `parts` are what is saved of it.

    The actor's optimizer also has the temperature. `target_entropy` is in nats; None: minus the number of action
    dimensions. `whole_batch` as in `Optimizer`.
    """

    def __init__(
        self,
        policy: Actor,
        critics: C,
        config: TemperatureConfig,
        *,
        target_entropy: float | None,
        until: Budget,
        whole_batch: bool = False,
    ) -> None:
        self.critics = critics
        entropy = -float(policy.head.size) if target_entropy is None else target_entropy
        self.temperature = Temperature(config.initial_temperature, entropy).to(policy.device)
        acting = {**dict(policy.named_parameters()), "log_temperature": self.temperature.log}
        judging = prefixed("critics", critics)
        self.actor_optimizer = Optimizer(
            acting, config.actor_optimizer, until=until, name="actor", whole_batch=whole_batch
        )
        self.critic_optimizer = Optimizer(
            judging, config.critic_optimizer, until=until, name="critic", whole_batch=whole_batch
        )
        self.parts: Parts = {
            "critics": self.critics,
            "temperature": self.temperature,
            "actor_optimizer": self.actor_optimizer,
            "critic_optimizer": self.critic_optimizer,
        }


class SoftLearning(TemperatureLearning[C]):
    """The same with a target of the critics; `target_follows()` moves it towards them."""

    def __init__(
        self, policy: Actor, critics: C, config: SoftConfig, *, target_entropy: float | None, until: Budget
    ) -> None:
        super().__init__(policy, critics, config, target_entropy=target_entropy, until=until)
        self.target = frozen_copy(critics)
        self.target_follows = follower(self.target, critics, config.tau)
        self.parts: Parts = {**self.parts, "target": self.target}


def with_action_noise(batch: Batch, policy: Actor, rng: torch.Generator) -> Batch:
    """The transitions [B, ...] on the policy's device, with the `noise` and `next_noise` [B, n] that make actions."""
    noise = torch.randn(2, len(batch["reward"]), policy.head.size, generator=rng)
    here, after = moved(noise, policy.device)
    return {**to_device(batch, policy.device), "noise": here, "next_noise": after}


@torch.no_grad()
def soft_target(policy: Actor, target: Critics, temperature: Tensor, batch: Batch) -> Tensor:
    """reward + discount * (min_i Q_i(next_obs, a') - temperature * log pi(a')), [B].

    `next_noise` [B, n] makes the next actions a' (Haarnoja et al. 2018, arXiv:1812.05905, equations 2, 3 and 6).
    """
    next_action, log_prob = policy.reparametrized(batch, batch["next_noise"], "next_")
    next_value = target.smallest(policy.seen(batch, "next_"), next_action)
    goal: Tensor = batch["reward"] + batch["discount"] * (next_value - temperature * log_prob)
    return goal


class Value(Protocol):
    """What critics say of normalized observations [B, ...] and flat actions [B, n], as one number: [B]."""

    def __call__(self, obs: Batch, action: Tensor, /) -> Tensor: ...


def soft_actor_loss(policy: Actor, value: Value, temperature: Temperature, batch: Batch) -> Loss:
    """temperature * log pi(a) - Q(obs, a), and the temperature's own loss (the same paper's equations 9 and 18).

    `noise` [B, n] makes the actions a. Each is differentiated by its own parameters only.
    """
    action, log_prob = policy.reparametrized(batch, batch["noise"])
    actor_loss = temperature() * log_prob - value(policy.seen(batch), action)
    measured: Metrics = {
        "policy/entropy": Mean(-log_prob.detach().mean(), len(log_prob)),
        "policy/temperature": Mean(temperature()),
    }
    return Loss((actor_loss + temperature.loss(-log_prob)).sum(), len(log_prob), measured)
