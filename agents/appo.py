"""Asynchronous PPO: acting never waits for learning; V-trace gives the advantages for PPO's clipped surrogate.

Petrenko et al. 2020 (Sample Factory, https://arxiv.org/abs/2006.11751, section 3.4): the ratio that PPO clips is that
to the policy that acted, which may be some updates old, and the advantages come from V-trace (Espeholt et al. 2018),
so that old actions neither pull the policy far nor are valued by what it would no longer do. The rest is PPO's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import PolicyAndParts
from agents.updates.configs import ClippedConfig, VTraceConfig
from agents.updates.losses import ppo_loss
from agents.updates.minibatches import shuffled_minibatches
from agents.updates.rollout_samples import explained_variance, to_samples, with_normalized_advantage, with_vtrace
from training.core import Batch, Budget, Counters, to_device
from training.metrics import Last, Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class APPOConfig(VTraceConfig, ClippedConfig):
    """APPO's hyperparameters; the defaults are Sample Factory's where PPO's are not the same."""

    horizon: int = 32
    epochs: int = 1
    clip_range: float = 0.1
    clip_schedule: Schedule = Schedule()
    entropy_coefficient: float = 0.003
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-4, eps=1e-6, max_grad_norm=4.0)


class APPO(PolicyAndParts):
    """Learns from rollouts [T, N]: `epochs` passes of clipped policy gradients over each."""

    def __init__(self, policy: ActorCritic, config: APPOConfig, *, until: Budget, seed: int) -> None:
        self.policy = policy
        self._config = config
        self._until = until
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "minibatches")
        self._prepare = with_normalized_advantage if config.normalize_advantage else None
        self.parts: Parts = {"optimizer": self._optimizer, "rng": self._rng}
        # A tensor, so that another value of the schedule needs no new compilation.
        self._clip_range = torch.tensor(config.clip_range, device=policy.device)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        batch = to_device(batch, self.policy.device)
        targets = with_vtrace(self.policy, batch, config)
        data = to_samples(batch, targets)
        value, ratio = data.pop("value"), data.pop("ratio")  # only measured
        clip_range = config.clip_range * config.clip_schedule.multiplier(now, self._until)
        self._clip_range.fill_(clip_range)
        measured = [
            self._optimizer.step(self._loss, data, now, rows, self._prepare)
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

    def _loss(self, batch: Batch) -> Loss:
        return ppo_loss(self.policy.evaluate(batch), self._config, self._clip_range, batch)
