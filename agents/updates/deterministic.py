"""What actor-critics with a deterministic actor share: targets of the actor and the critics, and smoothed values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.policies.actor import Actor
from agents.updates.critics import Critics, FollowedCriticsConfig, prefixed
from agents.updates.targets import follower, frozen_copy
from training.core import Batch, Budget
from training.errors import require
from training.metrics import Mean
from training.optimizer import Loss, Optimizer, OptimizerConfig
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


class DeterministicLearning:
    """What is learned beside the policy, with the optimizers; `parts` are what is saved of it.

    Args:
        policy: the actor.
        critics: of its actions.
        tau: how far each target moves in `targets_follow`.
        actor_optimizer: its config.
        critic_optimizer: its config.
        until: the run's budget.
        whole_batch: the actor's loss is one of all samples of a minibatch together.
    """

    def __init__(
        self,
        policy: Actor,
        critics: Critics,
        *,
        tau: float,
        actor_optimizer: OptimizerConfig,
        critic_optimizer: OptimizerConfig,
        until: Budget,
        whole_batch: bool = False,
    ) -> None:
        self.policy, self.critics = policy, critics
        self.target_policy, self.target = frozen_copy(policy), frozen_copy(critics)
        self._follow = follower(self.target_policy, policy, tau), follower(self.target, critics, tau)
        acting, judging = dict(policy.named_parameters()), prefixed("critics", critics)
        self.actor_optimizer = Optimizer(acting, actor_optimizer, until=until, name="actor", whole_batch=whole_batch)
        self.critic_optimizer = Optimizer(judging, critic_optimizer, until=until, name="critic")
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


def smoothed_critic_loss(learning: DeterministicLearning, config: SmoothedConfig, batch: Batch) -> Loss:
    """The squared error of the critics, summed over them (Fujimoto et al. 2018, algorithm 1)."""
    policy, critics = learning.policy, learning.critics
    std, clip = config.smoothing_std, config.smoothing_clip
    goal = smoothed_target(policy, learning.target_policy, learning.target, batch, std=std, clip=clip)
    values = critics(policy.seen(batch), batch["action"].flatten(1)).squeeze(-1)
    loss = (values - goal).square().sum(0)
    return Loss(loss.sum(), len(loss), {"value/mean": Mean(values.detach().mean(), len(loss))})


@torch.no_grad()
def smoothed_target(
    policy: Actor, target_policy: Actor, target: Critics, batch: Batch, *, std: float, clip: float
) -> Tensor:
    """reward + discount * min_i Q_i'(next_obs, pi'(next_obs) + clipped noise), [B].

    `std` and `clip` are of the noise (Fujimoto et al. 2018, equations 10 and 14). The normalization is that of
    `policy`: the target has none of its own.
    """
    obs = policy.seen(batch, "next_")
    noise = (std * batch["next_noise"]).clamp(-clip, clip)
    action = (target_policy.action_of(obs) + noise).clamp(-1.0, 1.0)
    goal: Tensor = batch["reward"] + batch["discount"] * target.smallest(obs, action)
    return goal
