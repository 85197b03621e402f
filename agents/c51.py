"""Distributional Q-learning with 51 atoms (Bellemare et al. 2017, https://arxiv.org/abs/1707.06887, algorithm 1).

With double Q-learning, a dueling and noisy network, priorities and three-step returns it is Rainbow (Hessel et al.
2018, https://arxiv.org/abs/1710.02298).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.policies.policy import PolicyAndParts
from agents.policies.q_network import QNetwork
from agents.updates.minibatches import minibatches
from agents.updates.q_learning import QLearning, QLearningConfig, best_action, require_distribution, taken
from training.core import Batch, Budget, Counters, to_device
from training.metrics import Metrics, merge_metrics
from training.optimizer import Loss, OptimizerConfig


@dataclass(frozen=True, kw_only=True)
class C51Config(QLearningConfig):
    """C51's hyperparameters; the atoms belong to the policy's config. The paper's eps is 0.01 over its 32 samples."""

    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2.5e-4, eps=0.01 / 32)


class C51(PolicyAndParts):
    """Learns how likely each return is, for every action, from transitions [B, ...]."""

    def __init__(self, policy: QNetwork, config: C51Config, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_distribution(policy, "categorical", "C51")
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
        target = c51_target(self.policy, self._learning.target, batch, double=self._config.double)
        outputs = self.policy(batch)
        log_p = taken(outputs, batch["action"]).log_softmax(-1)
        cross_entropy = -(target * log_p).sum(-1)
        value = (log_p.exp() * self.policy.support).sum(-1)
        # What a transition is drawn by is the divergence from its target (Hessel et al. 2018, section "Rainbow").
        divergence = cross_entropy + torch.xlogy(target, target).sum(-1)
        return self._learning.loss(cross_entropy, divergence, value, batch)


@torch.no_grad()
def c51_target(policy: QNetwork, target: QNetwork, batch: Batch, *, double: bool) -> Tensor:
    """The distribution [B, atoms] of reward + discount * Z'(next_obs, a), projected onto the atoms (equation 7)."""
    outputs = target(batch, "next_")
    chosen_by = policy.values(policy(batch, "next_")) if double else target.values(outputs)
    next_p = taken(outputs, best_action(chosen_by, batch).squeeze(-1)).softmax(-1)
    support = policy.support
    moved = batch["reward"].unsqueeze(-1) + batch["discount"].unsqueeze(-1) * support
    return project(moved.clamp(support[0], support[-1]), next_p, support)


def project(returns: Tensor, probability: Tensor, support: Tensor) -> Tensor:
    """Probabilities [B, atoms] of `returns` [B, atoms], shared out between the two atoms next to each."""
    distance = (returns.unsqueeze(-1) - support) / (support[1] - support[0])
    return (probability.unsqueeze(-1) * (1 - distance.abs()).clamp(min=0.0)).sum(-2)
