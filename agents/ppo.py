"""Proximal policy optimization (Schulman et al. 2017, https://arxiv.org/abs/1707.06347).

`PPO.update` is the paper's algorithm 1 from the rollout on; `ppo_loss` is its equations 7 and 9. The details that the
paper leaves out (advantages normalized in each minibatch, Adam's epsilon of 1e-5, gradient clipping) are those of
Huang et al. 2022, "The 37 implementation details of proximal policy optimization".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from agents.acting.rollouts import (
    continues,
    discount,
    explained_variance,
    shuffled_minibatches,
    to_samples,
    values,
    with_normalized_advantage,
)
from agents.policies.actor_critic import ActorCritic
from agents.updates.estimators import gae
from agents.updates.parts import Parts, load_parts, save_parts
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Last, Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.seeding import generator
from training.state import State


@dataclass(frozen=True)
class PPOConfig:
    """PPO's numbers; the defaults are the paper's for continuous control and Huang et al.'s where it is silent."""

    horizon: int = 128
    """Steps of each environment in one rollout."""
    epochs: int = 4
    """Passes over each rollout."""
    minibatch_size: int = 256
    """Samples in one gradient step; must divide horizon * num_envs."""
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    clip_schedule: Schedule = Schedule()
    value_coefficient: float = 0.5
    entropy_coefficient: float = 0.0
    normalize_advantage: bool = True
    target_kl: float | None = None
    """Ends the update after the first epoch that is 1.5 times this far from the policy that acted, in nats."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4, eps=1e-5, max_grad_norm=0.5)

    def __post_init__(self) -> None:
        require(self.horizon >= 1, "horizon", self.horizon, "at least 1 step")
        require(self.epochs >= 1, "epochs", self.epochs, "at least 1 pass")
        require(self.minibatch_size >= 2, "minibatch_size", self.minibatch_size, "at least 2 samples")
        require(0 <= self.gamma <= 1, "gamma", self.gamma, "a number from 0 to 1")
        require(
            0 <= self.value_coefficient < inf, "value_coefficient", self.value_coefficient, "a number of at least 0"
        )
        require(isfinite(self.entropy_coefficient), "entropy_coefficient", self.entropy_coefficient, "a finite number")
        require(0 <= self.gae_lambda <= 1, "gae_lambda", self.gae_lambda, "a number from 0 to 1")
        require(self.clip_range > 0, "clip_range", self.clip_range, "a positive number")
        require(self.target_kl is None or self.target_kl > 0, "target_kl", self.target_kl, "a positive number or None")


class LossCoefficients(Protocol):
    """What `ppo_loss` takes from the config of an algorithm."""

    @property
    def value_coefficient(self) -> float: ...

    @property
    def entropy_coefficient(self) -> float: ...


class PPO:
    """Learns from rollouts [T, N]: `epochs` passes of clipped policy gradients over each."""

    def __init__(self, policy: ActorCritic, config: PPOConfig, *, until: Budget, seed: int) -> None:
        self.policy = policy
        self._config = config
        self._until = until
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "minibatches")
        self._prepare = with_normalized_advantage if config.normalize_advantage else None
        self._parts: Parts = {"optimizer": self._optimizer, "rng": self._rng}
        # A tensor, so that another value of the schedule needs no new compilation.
        self._clip_range = torch.tensor(config.clip_range, device=policy.device)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        data = self._with_targets(to_device(batch, self.policy.device))
        value = data.pop("value")  # only measured
        clip_range = config.clip_range * config.clip_schedule.multiplier(now, self._until)
        self._clip_range.fill_(clip_range)
        measured: list[Metrics] = []
        for _ in range(config.epochs):
            shuffled = shuffled_minibatches(data, config.minibatch_size, self._rng)
            epoch = [self.step(data, rows, now) for rows in shuffled]
            measured += epoch
            if config.target_kl and mean_kl(epoch) > 1.5 * config.target_kl:
                break
        self.policy.update_normalizers(data)
        extra: Metrics = {
            "value/explained_variance": Mean(explained_variance(value, data["return"])),
            "policy/clip_range": Last(clip_range),
        }
        return merge_metrics(measured) | extra, {}

    def step(self, data: Batch, rows: Tensor, now: Counters) -> Metrics:
        """One gradient step on the samples `rows` [B] of a rollout."""
        return self._optimizer.step(self._loss, data, now, rows, self._prepare)

    def _loss(self, batch: Batch) -> Loss:
        return ppo_loss(self.policy.evaluate(batch), self._config, self._clip_range, batch)

    @torch.no_grad()
    def _with_targets(self, batch: Batch) -> Batch:
        """The rollout as samples [B, ...] with their log-probability, advantage and return."""
        config = self._config
        value, next_value = values(self.policy, batch)
        advantage = gae(
            batch["reward"], discount(batch, config.gamma), value, next_value, continues(batch), config.gae_lambda
        )
        data = to_samples(batch, {"advantage": advantage, "value": value, "return": advantage + value})
        # Computed here and not while acting: one pass over the whole rollout instead of one a step.
        data["log_prob"] = self.policy.log_prob(data)
        return data

    def state_dict(self) -> State:
        return save_parts(self.policy, self._parts)

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)


def mean_kl(epoch: Sequence[Metrics]) -> float:
    """How far the policy has moved on average; 0 where every update was skipped."""
    kl = merge_metrics(epoch).get("policy/kl")
    return float(kl.value) if kl else 0.0


def ppo_loss(
    evaluated: tuple[Tensor, Tensor, Tensor], config: LossCoefficients, clip_range: Tensor, batch: Batch
) -> Loss:
    """The clipped surrogate, the value error and the entropy bonus (equations 7 and 9) of samples.

    `evaluated` are their log-probability, entropy and value now, `batch` holds `log_prob`, `advantage` and `return`,
    each [B]; `clip_range` is [].
    """
    log_prob, entropy, value = evaluated
    log_ratio = log_prob - batch["log_prob"]
    ratio = log_ratio.exp()
    with torch.no_grad():  # a clipped ratio has no gradient where it is chosen
        clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
        clipped_is_less = clipped * batch["advantage"] < ratio * batch["advantage"]
    # Equation 7's minimum and equation 9's squared error, in forms with few operations backwards.
    policy_loss = -torch.where(clipped_is_less, clipped, ratio) * batch["advantage"]
    value_loss = mse_loss(value, batch["return"], reduction="none")
    loss = policy_loss + config.value_coefficient * value_loss
    if config.entropy_coefficient:  # otherwise only measured
        loss = loss - config.entropy_coefficient * entropy
    with torch.no_grad():
        measured = {
            "policy/loss": policy_loss,
            "policy/entropy": entropy,
            # An estimate of KL(old || new) that is never negative (http://joschu.net/blog/kl-approx.html, k3).
            "policy/kl": ratio - 1 - log_ratio,
            "policy/clipped_fraction": ratio != clipped,
            "value/loss": value_loss,
        }
        # One reduction instead of five.
        means = torch.stack([values.float() for values in measured.values()]).mean(1)
    metrics: Metrics = {key: Mean(value, len(loss)) for key, value in zip(measured, means.unbind(), strict=True)}
    return Loss(loss.sum(), len(loss), metrics)
