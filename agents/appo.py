"""Asynchronous PPO: actors that never wait for the learner, V-trace and the clipped surrogate.

Petrenko et al. 2020 (Sample Factory, https://arxiv.org/abs/2006.11751, section 3.4): the ratio that PPO clips is that
to the policy that acted, which may be some updates old, and the advantages come from V-trace (Espeholt et al. 2018),
so that old actions neither pull the policy far nor are valued by what it would no longer do. The rest is PPO's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import torch
from torch import Tensor

from agents.acting.rollouts import (
    explained_variance,
    shuffled_minibatches,
    to_samples,
    with_normalized_advantage,
    with_vtrace,
)
from agents.impala import require_vtrace
from agents.policies.actor_critic import ActorCritic
from agents.ppo import ppo_loss
from agents.updates.parts import Parts, load_parts, save_parts
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Last, Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.seeding import generator
from training.state import State


@dataclass(frozen=True)
class APPOConfig:
    """APPO's numbers; the defaults are Sample Factory's where PPO's are not the same."""

    horizon: int = 32
    """Steps of each environment in one rollout."""
    max_policy_lag: int = 2
    """How many updates older than the newest policy one that acts on a Ray worker may be; 0: everybody waits."""
    epochs: int = 1
    """Passes over each rollout."""
    minibatch_size: int = 256
    """Samples in one gradient step; must divide horizon * num_envs."""
    gamma: float = 0.99
    clip_rho: float = 1.0
    clip_c: float = 1.0
    trace_lambda: float = 1.0
    """See `agents.impala.IMPALAConfig` for these three."""
    clip_range: float = 0.1
    clip_schedule: Schedule = Schedule()
    value_coefficient: float = 0.5
    entropy_coefficient: float = 0.003
    normalize_advantage: bool = True
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-4, eps=1e-6, max_grad_norm=4.0)

    def __post_init__(self) -> None:
        require_vtrace(self.max_policy_lag, self.clip_rho, self.clip_c, self.trace_lambda)
        require(self.horizon >= 1, "horizon", self.horizon, "at least 1 step")
        require(self.epochs >= 1, "epochs", self.epochs, "at least 1 pass")
        require(self.minibatch_size >= 2, "minibatch_size", self.minibatch_size, "at least 2 samples")
        require(0 <= self.gamma <= 1, "gamma", self.gamma, "a number from 0 to 1")
        require(self.clip_range > 0, "clip_range", self.clip_range, "a positive number")
        require(
            0 <= self.value_coefficient < inf, "value_coefficient", self.value_coefficient, "a number of at least 0"
        )
        require(isfinite(self.entropy_coefficient), "entropy_coefficient", self.entropy_coefficient, "a finite number")


class APPO:
    """Learns from rollouts [T, N]: `epochs` passes of clipped policy gradients over each."""

    def __init__(self, policy: ActorCritic, config: APPOConfig, *, until: Budget, seed: int) -> None:
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
        batch = to_device(batch, self.policy.device)
        targets = with_vtrace(
            self.policy,
            batch,
            gamma=config.gamma,
            clip_rho=config.clip_rho,
            clip_c=config.clip_c,
            trace_lambda=config.trace_lambda,
        )
        data = to_samples(batch, targets)
        value, ratio = data.pop("value"), data.pop("ratio")  # only measured
        clip_range = config.clip_range * config.clip_schedule.multiplier(now, self._until)
        self._clip_range.fill_(clip_range)
        measured = [
            self._step(data, rows, now)
            for _ in range(config.epochs)
            for rows in shuffled_minibatches(data, config.minibatch_size, self._rng)
        ]
        self.policy.update_normalizers(data)
        extra: Metrics = {
            "value/explained_variance": Mean(explained_variance(value, data["return"])),
            "policy/clip_range": Last(clip_range),
            "policy/old_ratio_mean": Mean(ratio.mean()),
        }
        return merge_metrics(measured) | extra, {}

    def _step(self, data: Batch, rows: Tensor, now: Counters) -> Metrics:
        return self._optimizer.step(self._loss, data, now, rows, self._prepare)

    def _loss(self, batch: Batch) -> Loss:
        return ppo_loss(self.policy.evaluate(batch), self._config, self._clip_range, batch)

    def state_dict(self) -> State:
        return save_parts(self.policy, self._parts)

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)
