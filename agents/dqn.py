"""Deep Q-learning (Mnih et al. 2015, https://doi.org/10.1038/nature14236, algorithm 1).

Its target may be that of double Q-learning (van Hasselt et al. 2016, https://arxiv.org/abs/1509.06461, equation 4).
Dueling and noisy networks are the policy's config, returns of several steps and priorities are the replay's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from agents.policies.q_network import QNetwork
from agents.updates.q_learning import EpsilonConfig, QLearning, check
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.metrics import Metrics
from training.optimizer import Loss, OptimizerConfig
from training.state import State


@dataclass(frozen=True)
class DQNConfig:
    """DQN's numbers; the defaults are those of Stable-Baselines3 for small networks."""

    gamma: float = 0.99
    double: bool = False
    """The network that learns chooses the next action, the target network says what it is worth."""
    target_gradient_steps: int = 2_500
    """Gradient steps between two copies of the network into the target network."""
    epsilon: EpsilonConfig = EpsilonConfig()
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-4, max_grad_norm=10.0)

    def __post_init__(self) -> None:
        check(self)


class DQN:
    """Learns action values from transitions [B, ...]."""

    def __init__(self, policy: QNetwork, config: DQNConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        if policy.config.distribution != "mean":
            raise UserError(f"policy.distribution = {policy.config.distribution!r}: DQN takes 'mean'")
        self.policy, self._config = policy, config
        self._learning = QLearning(policy, config, until=until, seed=seed, minibatch_size=minibatch_size)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self._learning.update(self._loss, batch, now)

    def _loss(self, batch: Batch) -> Loss:
        value, target = dqn_values(self.policy, self._learning.target, batch, double=self._config.double)
        # The error clipped to [-1, 1] in the gradient (Mnih et al. 2015, Methods, "Training details").
        loss = F.smooth_l1_loss(value, target, reduction="none")
        return self._learning.loss(loss, target - value, value, batch)

    def state_dict(self) -> State:
        return self._learning.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._learning.load_state_dict(state)


def dqn_values(policy: QNetwork, target: QNetwork, batch: Batch, *, double: bool) -> tuple[Tensor, Tensor]:
    """The value of each action taken and what it is to become, both [B]: reward + discount * max_a Q'(next_obs, a)."""
    with torch.no_grad():
        next_value = target.values(target(batch, "next_"))
        chosen_by = policy.values(policy(batch, "next_")) if double else next_value
        next_action = best_action(chosen_by, batch)
        goal = batch["reward"] + batch["discount"] * next_value.gather(-1, next_action).squeeze(-1)
    value = policy.values(policy(batch)).gather(-1, batch["action"].unsqueeze(-1)).squeeze(-1)
    return value, goal


def best_action(values: Tensor, batch: Batch) -> Tensor:
    """The next action [B, 1] that is worth most among those allowed, of `values` [B, actions]."""
    if "next_action_mask" in batch:
        values = values.masked_fill(~batch["next_action_mask"], -torch.inf)
    return values.argmax(-1, keepdim=True)
