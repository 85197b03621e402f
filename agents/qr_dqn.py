"""Distributional Q-learning by quantile regression.

Dabney et al. 2018, https://arxiv.org/abs/1710.10044, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.policies.policy import PolicyAndParts
from agents.policies.q_network import QNetwork
from agents.updates.losses import quantile_huber
from agents.updates.minibatches import minibatches
from agents.updates.q_learning import QLearning, QLearningConfig, best_action, require_distribution, taken
from training.core import Batch, Budget, Counters, to_device
from training.metrics import Metrics, merge_metrics
from training.optimizer import Loss, OptimizerConfig


@dataclass(frozen=True, kw_only=True)
class QRDQNConfig(QLearningConfig):
    """QR-DQN's hyperparameters; quantiles belong to the policy's config. Eps is the paper's 0.01 over 32 samples."""

    kappa: float = 1.0
    """Up to this error the loss is squared: where returns are large, a small one hides the errors that are rare."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=5e-5, eps=0.01 / 32)


class QRDQN(PolicyAndParts):
    """Learns the quantiles of the return of every action from transitions [B, ...]."""

    def __init__(self, policy: QNetwork, config: QRDQNConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_distribution(policy, "quantile", "QR-DQN")
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        self._learning = QLearning(policy, config, until=until, seed=seed, minibatch_size=minibatch_size)
        self.parts = self._learning.parts

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        learning, index = self._learning, batch.pop("index", None)
        data = to_device(batch, self.policy.device)
        measured, errors = [], []
        for rows in minibatches(data, self._minibatch_size):
            learning.draw_noise()
            measured.append(learning.optimizer.step(self._loss, data, now, rows))
            errors.append(learning.stepped())
        metrics = merge_metrics(measured) | learning.updated(data, now)
        return metrics, {} if index is None else {"index": index, "priority": torch.cat(errors)}

    def _loss(self, batch: Batch) -> Loss:
        target = qr_dqn_target(self.policy, self._learning.target, batch, double=self._config.double)
        quantiles = taken(self.policy(batch), batch["action"])
        loss = quantile_huber(quantiles, target, self._config.kappa)
        value = quantiles.mean(-1)
        return self._learning.loss(loss, target.mean(-1) - value, value, batch)


@torch.no_grad()
def qr_dqn_target(policy: QNetwork, target: QNetwork, batch: Batch, *, double: bool) -> Tensor:
    """The quantiles [B, atoms] of reward + discount * Z'(next_obs, a)."""
    outputs = target(batch, "next_")
    chosen_by = policy.values(policy(batch, "next_")) if double else target.values(outputs)
    next_quantiles = taken(outputs, best_action(chosen_by, batch).squeeze(-1))
    return batch["reward"].unsqueeze(-1) + batch["discount"].unsqueeze(-1) * next_quantiles
