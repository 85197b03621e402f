"""Distributional Q-learning with 51 atoms (Bellemare et al. 2017, https://arxiv.org/abs/1707.06887, algorithm 1).

With a double choice of the next action, a dueling and noisy network, priorities and returns of three steps it is
Rainbow (Hessel et al. 2018, https://arxiv.org/abs/1710.02298).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.dqn import best_action
from agents.policies.q_network import QNetwork
from agents.updates.q_learning import EpsilonConfig, QLearning, check
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.metrics import Metrics
from training.optimizer import Loss, OptimizerConfig
from training.state import State


@dataclass(frozen=True)
class C51Config:
    """C51's numbers; the atoms are the policy's config."""

    gamma: float = 0.99
    double: bool = False
    """The network that learns chooses the next action, the target network says how it is distributed."""
    target_gradient_steps: int = 2_500
    """Gradient steps between two copies of the network into the target network."""
    epsilon: EpsilonConfig = EpsilonConfig()
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2.5e-4, eps=0.01 / 32)

    def __post_init__(self) -> None:
        check(self)


class C51:
    """Learns how likely each return is, for every action, from transitions [B, ...]."""

    def __init__(self, policy: QNetwork, config: C51Config, *, until: Budget, seed: int, minibatch_size: int) -> None:
        if policy.config.distribution != "categorical":
            raise UserError(f"policy.distribution = {policy.config.distribution!r}: C51 takes 'categorical'")
        self.policy, self._config = policy, config
        self._learning = QLearning(policy, config, until=until, seed=seed, minibatch_size=minibatch_size)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self._learning.update(self._loss, batch, now)

    def _loss(self, batch: Batch) -> Loss:
        target = c51_target(self.policy, self._learning.target, batch, double=self._config.double)
        outputs = self.policy(batch)
        log_p = taken(outputs, batch["action"]).log_softmax(-1)
        cross_entropy = -(target * log_p).sum(-1)
        value = (log_p.exp() * self.policy.support).sum(-1)
        # What a transition is drawn by is the divergence from its target (Hessel et al. 2018, section "Rainbow").
        divergence = cross_entropy + torch.xlogy(target, target).sum(-1)
        return self._learning.loss(cross_entropy, divergence, value, batch)

    def state_dict(self) -> State:
        return self._learning.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._learning.load_state_dict(state)


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


def taken(outputs: Tensor, action: Tensor) -> Tensor:
    """What outputs [B, actions, atoms] say of `action` [B]: [B, atoms]."""
    return outputs.gather(-2, action.view(-1, 1, 1).expand(-1, 1, outputs.shape[-1])).squeeze(-2)
