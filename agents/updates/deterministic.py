"""What actor-critics with a deterministic actor share: targets of actor and critics, smoothed values, and the gradient
steps on a dataset."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from agents.policies.actor import Actor, require_continuous
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import Critics, FollowedCriticsConfig, prefixed
from agents.updates.targets import GradientSteps, follower, frozen_copy
from training.core import Batch, Budget, Counters, moved, to_device
from training.errors import require
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class SmoothedConfig(FollowedCriticsConfig):
    """Of algorithms whose critics learn from smoothed targets, and whose actor learns later than they do."""

    policy_delay: int = 2
    """Gradient steps of the critics for each one of the actor and the targets."""
    smoothing_std: float = 0.2
    """Of the noise on the target's actions, which lie in [-1, 1]."""
    smoothing_clip: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.policy_delay >= 1, "policy_delay", self.policy_delay, "at least 1")
        for key in ("smoothing_std", "smoothing_clip"):
            require(getattr(self, key) >= 0, key, getattr(self, key), "a number of at least 0")


class Learned(Protocol):
    """What must be known of an algorithm's config."""

    @property
    def tau(self) -> float: ...
    @property
    def actor_optimizer(self) -> OptimizerConfig: ...
    @property
    def critic_optimizer(self) -> OptimizerConfig: ...


class DeterministicLearning:
    """What is learned beside the policy, with the optimizers; `parts` are what is saved of it.

    Args:
        policy: the actor.
        critics: of its actions.
        config: how far each target moves in `targets_follow`, and the optimizers.
        until: the run's budget.
        whole_batch: the actor's loss is one of all samples of a minibatch together.
    """

    def __init__(
        self, policy: Actor, critics: Critics, config: Learned, *, until: Budget, whole_batch: bool = False
    ) -> None:
        self.policy, self.critics = policy, critics
        self.target_policy, self.target = frozen_copy(policy), frozen_copy(critics)
        self._follow = follower(self.target_policy, policy, config.tau), follower(self.target, critics, config.tau)
        acting, judging = dict(policy.named_parameters()), prefixed("critics", critics)
        self.actor_optimizer = Optimizer(
            acting, config.actor_optimizer, until=until, name="actor", whole_batch=whole_batch
        )
        self.critic_optimizer = Optimizer(judging, config.critic_optimizer, until=until, name="critic")
        self.parts: Parts = {
            "critics": self.critics,
            "target_policy": self.target_policy,
            "target": self.target,
            "actor_optimizer": self.actor_optimizer,
            "critic_optimizer": self.critic_optimizer,
        }

    def targets_follow(self) -> None:
        """Moves both targets towards what they follow."""
        for follow in self._follow:
            follow()


def with_smoothing_noise(batch: Batch, policy: Actor, rng: torch.Generator) -> Batch:
    """The transitions [B, ...] on the policy's device, with the `next_noise` [B, n] that smooths the target."""
    noise = torch.randn(len(batch["reward"]), policy.head.size, generator=rng)
    return {**to_device(batch, policy.device), "next_noise": moved(noise, policy.device)}


class TD3FromData(PolicyAndParts):
    """TD3's gradient steps on transitions [B, ...] of a dataset; an algorithm says what the actor's loss is.

    That of TD3+BC and of ReBRAC weighs the value by its mean size in the minibatch: it is one of all samples together.
    """

    def __init__(self, policy: Actor, config: SmoothedConfig, *, until: Budget, seed: int) -> None:
        require_continuous(policy, type(self).__name__, ("deterministic",))
        self.policy = policy
        self._policy_delay = config.policy_delay
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self._learning = DeterministicLearning(policy, self.critics, config, until=until, whole_batch=True)
        self._gradient_steps = GradientSteps()
        self._rng = generator(seed, "learning")
        self.parts: Parts = {**self._learning.parts, "rng": self._rng, "gradient_steps": self._gradient_steps}

    def take_steps(self, batch: Batch, now: Counters) -> Metrics:
        """One gradient step of the critics, and of the actor when it is its turn."""
        data = with_smoothing_noise(batch, self.policy, self._rng)
        learning = self._learning
        measured = [learning.critic_optimizer.step(self._critic_loss, data, now)]
        if self._gradient_steps.count(every=self._policy_delay):
            measured.append(learning.actor_optimizer.step(self._actor_loss, data, now))
            learning.targets_follow()
        return merge_metrics(measured)

    @abstractmethod
    def _critic_loss(self, batch: Batch) -> Loss: ...

    @abstractmethod
    def _actor_loss(self, batch: Batch) -> Loss: ...


def smoothed_critic_loss(
    learning: DeterministicLearning, config: SmoothedConfig, batch: Batch, *, penalty: float = 0.0
) -> Loss:
    """The squared error of the critics, summed over them (Fujimoto et al. 2018, algorithm 1).

    `penalty` as in `smoothed_target`.
    """
    policy, critics = learning.policy, learning.critics
    std, clip = config.smoothing_std, config.smoothing_clip
    goal = smoothed_target(policy, learning.target_policy, learning.target, batch, std=std, clip=clip, penalty=penalty)
    values = critics(policy.seen(batch), batch["action"].flatten(1)).squeeze(-1)
    loss = (values - goal).square().sum(0)
    return Loss(loss.sum(), len(loss), {"value/mean": Mean(values.detach().mean(), len(loss))})


@torch.no_grad()
def smoothed_target(
    policy: Actor,
    target_policy: Actor,
    target: Critics,
    batch: Batch,
    *,
    std: float,
    clip: float,
    penalty: float = 0.0,
) -> Tensor:
    """reward + discount * min_i Q_i'(next_obs, pi'(next_obs) + clipped noise), [B].

    `std` and `clip` are of the noise (Fujimoto et al. 2018, equations 10 and 14). The normalization is that of
    `policy`: the target has none of its own. With a `penalty`, that many times the squared distance from the action
    that the data has at next_obs is taken from its value, where there is one (Tarasov et al. 2023, equation 4).
    """
    obs = policy.seen(batch, "next_")
    noise = (std * batch["next_noise"]).clamp(-clip, clip)
    action = (target_policy.action_of(obs) + noise).clamp(-1.0, 1.0)
    value = target.smallest(obs, action)
    if penalty:
        distance = (action - batch["next_action"].flatten(1)).square().sum(-1)
        value = value - penalty * torch.where(batch["next_acted"], distance, 0.0)
    goal: Tensor = batch["reward"] + batch["discount"] * value
    return goal
