"""Distributional Q-learning by quantile regression.

Dabney et al. 2018, https://arxiv.org/abs/1710.10044, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from agents.c51 import taken
from agents.dqn import best_action
from agents.policies.q_network import QNetwork
from agents.updates.q_learning import EpsilonConfig, QLearning, check
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.metrics import Metrics
from training.optimizer import Loss, OptimizerConfig
from training.state import State


@dataclass(frozen=True)
class QRDQNConfig:
    """QR-DQN's numbers; how many quantiles there are is the policy's config."""

    gamma: float = 0.99
    double: bool = False
    """The network that learns chooses the next action, the target network says how it is distributed."""
    target_gradient_steps: int = 2_500
    """Gradient steps between two copies of the network into the target network."""
    epsilon: EpsilonConfig = EpsilonConfig()
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=5e-5, eps=0.01 / 32)

    def __post_init__(self) -> None:
        check(self)


class QRDQN:
    """Learns the quantiles of the return of every action from transitions [B, ...]."""

    def __init__(self, policy: QNetwork, config: QRDQNConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        if policy.config.distribution != "quantile":
            raise UserError(f"policy.distribution = {policy.config.distribution!r}: QR-DQN takes 'quantile'")
        self.policy, self._config = policy, config
        self._learning = QLearning(policy, config, until=until, seed=seed, minibatch_size=minibatch_size)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self._learning.update(self._loss, batch, now)

    def _loss(self, batch: Batch) -> Loss:
        target = qr_dqn_target(self.policy, self._learning.target, batch, double=self._config.double)
        quantiles = taken(self.policy(batch), batch["action"])
        loss = quantile_huber(quantiles, target)
        value = quantiles.mean(-1)
        return self._learning.loss(loss, target.mean(-1) - value, value, batch)

    def state_dict(self) -> State:
        return self._learning.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._learning.load_state_dict(state)


@torch.no_grad()
def qr_dqn_target(policy: QNetwork, target: QNetwork, batch: Batch, *, double: bool) -> Tensor:
    """The quantiles [B, atoms] of reward + discount * Z'(next_obs, a)."""
    outputs = target(batch, "next_")
    chosen_by = policy.values(policy(batch, "next_")) if double else target.values(outputs)
    next_quantiles = taken(outputs, best_action(chosen_by, batch).squeeze(-1))
    return batch["reward"].unsqueeze(-1) + batch["discount"].unsqueeze(-1) * next_quantiles


def quantile_huber(quantiles: Tensor, target: Tensor) -> Tensor:
    """The loss [...] of quantiles [..., n] at the middles of n equal shares, for targets [..., m] (equation 10).

    Summed over the quantiles, averaged over the targets; kappa is 1.
    """
    count = quantiles.shape[-1]
    tau = (torch.arange(count, device=quantiles.device) + 0.5) / count
    error = target.unsqueeze(-2) - quantiles.unsqueeze(-1)  # [..., n, m]
    huber = F.huber_loss(error, torch.zeros_like(error), reduction="none")
    below = (error.detach() < 0).float()
    return ((tau.unsqueeze(-1) - below).abs() * huber).mean(-1).sum(-1)
