"""Proximal policy optimization (Schulman et al. 2017, https://arxiv.org/abs/1707.06347).

`PPO.update` is the paper's algorithm 1 from the rollout on, `surrogate` its equation 7 as printed (what runs is
`losses.clipped_surrogate`, the same in less time), `losses.ppo_loss` equation 9.
The details that the paper leaves out (advantages normalized in each minibatch, Adam's epsilon of 1e-5, gradient
clipping) are those of Huang et al. 2022, "The 37 implementation details of proximal policy optimization".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import PolicyAndParts
from agents.updates import ppo_kernel
from agents.updates.configs import ClippedConfig, GAEConfig
from agents.updates.estimators import gae
from agents.updates.losses import mean_kl, ppo_loss
from agents.updates.minibatches import shuffled_minibatches
from agents.updates.ppo_kernel import PPOKernel
from agents.updates.rollout_samples import (
    continues,
    discount,
    explained_variance,
    to_samples,
    values,
    with_normalized_advantage,
)
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Last, Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class PPOConfig(ClippedConfig, GAEConfig):
    """PPO's hyperparameters.

    Step size, clip range, gamma and lambda are the paper's for continuous control (table 3); horizon, epochs and
    minibatches are Huang et al.'s for 8 environments. The paper has 2,048 steps, 10 epochs and minibatches of 64 there.
    """

    horizon: int = 128
    clip_range: float = 0.2
    clip_schedule: Schedule = Schedule()
    entropy_coefficient: float = 0.0
    target_kl: float | None = None
    """Ends the update after the first epoch that is 1.5 times this far from the policy that acted, in nats."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4, eps=1e-5, max_grad_norm=0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.target_kl is None or self.target_kl > 0, "target_kl", self.target_kl, "a positive number or None")


class PPO(PolicyAndParts):
    """Learns from rollouts [T, N]: `epochs` passes of clipped policy gradients over each."""

    def __init__(self, policy: ActorCritic, config: PPOConfig, *, until: Budget, seed: int) -> None:
        self.policy = policy
        self._config = config
        self._until = until
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "minibatches")
        self._prepare = with_normalized_advantage if config.normalize_advantage else None
        in_cpp = config.optimizer.compile and policy.has_kernels and torch.get_num_threads() == 1
        self._kernel = PPOKernel(policy, config, self._optimizer) if in_cpp else None
        self.parts: Parts = {"optimizer": self._optimizer, "rng": self._rng}
        # A tensor, so that another value of the schedule needs no new compilation.
        self._clip_range = torch.tensor(config.clip_range, device=policy.device)

    @classmethod
    def has_kernel(cls, policy: ActorCritic, config: PPOConfig) -> bool:
        """Whether there are kernels for this policy; a subclass with another loss has none."""
        as_here = cls._loss is PPO._loss and cls._with_targets is PPO._with_targets
        return as_here and ppo_kernel.takes(policy, config, config.optimizer)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        data = self._with_targets(to_device(batch, self.policy.device))
        value = data.pop("value")  # only measured
        clip_range = config.clip_range * config.clip_schedule.multiplier(now, self._until)
        self._clip_range.fill_(clip_range)
        measured: list[Metrics] = []
        at_once = config.epochs if self._kernel is not None and not config.target_kl else 1
        for _ in range(0, config.epochs, at_once):
            shuffled = [
                rows for _ in range(at_once) for rows in shuffled_minibatches(data, config.minibatch_size, self._rng)
            ]
            if self._kernel is not None:
                passed = [self._kernel.steps(data, shuffled, now, clip_range)]
            else:
                passed = [self._optimizer.step(self._loss, data, now, rows, self._prepare) for rows in shuffled]
            measured += passed
            if config.target_kl and mean_kl(passed) > 1.5 * config.target_kl:
                break
        self.policy.update_normalizers(data)
        extra: Metrics = {
            "value/explained_variance": Mean(explained_variance(value, data["return"])),
            "policy/clip_range": Last(clip_range),
        }
        return merge_metrics(measured) | extra, {}

    def _loss(self, batch: Batch) -> Loss:
        return ppo_loss(self.policy.evaluate(batch), self._config, self._clip_range, batch)

    @torch.no_grad()
    def _with_targets(self, batch: Batch) -> Batch:
        """The rollout as samples [B, ...] with their log-probability, advantage and return."""
        config, policy = self._config, self._kernel or self.policy
        value, next_value = values(policy, batch)
        advantage = gae(
            batch["reward"], discount(batch, config.gamma), value, next_value, continues(batch), config.gae_lambda
        )
        data = to_samples(batch, {"advantage": advantage, "value": value, "return": advantage + value})
        # Computed here and not while acting: one pass over the whole rollout instead of one a step.
        data["log_prob"] = policy.log_prob(data)
        return data


def surrogate(ratio: Tensor, advantage: Tensor, clip_range: Tensor) -> Tensor:
    """The clipped surrogate objective [B] of the paper's equation 7, which is to be maximized.

    `ratio` [B] is the probability of the action now over that when it was done. What runs is
    `losses.clipped_surrogate`: the same to the bit, in a form that takes less time; a test compares the two.
    """
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return torch.min(ratio * advantage, clipped * advantage)
