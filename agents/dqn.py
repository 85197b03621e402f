"""Deep Q-learning (Mnih et al. 2015, https://doi.org/10.1038/nature14236, algorithm 1).

Its target may be that of double Q-learning (van Hasselt et al. 2016, https://arxiv.org/abs/1509.06461, equation 4), or
of Munchausen reinforcement learning (Vieillard et al. 2020, https://arxiv.org/abs/2007.14430, equation 1).
Dueling and noisy networks are the policy's config, returns of several steps and priorities are the replay's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from agents.policies.policy import PolicyAndParts
from agents.policies.q_network import QNetwork
from agents.updates.minibatches import minibatches
from agents.updates.q_learning import QLearning, QLearningConfig, allowed, best_action, require_distribution
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Metrics, merge_metrics
from training.optimizer import Loss, OptimizerConfig

LEAST_LOG_PROB = -1.0
"""Of an action, times the temperature: l_0 in the paper."""


@dataclass(frozen=True, kw_only=True)
class DQNConfig(QLearningConfig):
    """DQN's hyperparameters: step size, clipping, epsilon and gradient steps between two targets are those of
    Stable-Baselines3.

    It copies its target every 10,000 env steps, as it takes a gradient step in every fourth. The replay's defaults here
    take one in each, so that 2,500 gradient steps are 2,500 env steps.
    """

    error_clip: float | None = 1.0
    """The largest error that counts in the gradient (Mnih et al. 2015, Methods, "Training details", whose rewards are
    clipped too); None: every error counts in full. Where returns are large, a small clip hides the rare errors that
    matter, those at the end of an episode."""
    munchausen: float = 0.0
    """How much of the logarithm of its own probability an action is rewarded with: alpha, 0.9 in the paper, whose
    targets are soft then; 0: the target is that of Q-learning."""
    munchausen_temperature: float = 0.03
    """Of the softmax over the target's values, by which both are meant: tau."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-4, max_grad_norm=10.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.munchausen <= 1, "munchausen", self.munchausen, "a number from 0 to 1")
        temperature = self.munchausen_temperature
        require(temperature > 0, "munchausen_temperature", temperature, "a number above 0")
        alone = not (self.munchausen and self.double)
        require(alone, "munchausen", self.munchausen, "0 with double: its next value is that of all actions")
        clip = self.error_clip
        require(clip is None or clip > 0, "error_clip", clip, "a number above 0, or None")


class DQN(PolicyAndParts):
    """Learns action values from transitions [B, ...]."""

    def __init__(self, policy: QNetwork, config: DQNConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_distribution(policy, "mean", "DQN")
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
        config, learning = self._config, self._learning
        if config.munchausen:
            value, temperature = taken_value(self.policy, batch), config.munchausen_temperature
            target = munchausen_target(learning.target, batch, share=config.munchausen, temperature=temperature)
        else:
            value, target = dqn_values(self.policy, learning.target, batch, double=config.double)
        error, clip = target - value, self._config.error_clip
        loss = 0.5 * error.square() if clip is None else F.huber_loss(value, target, reduction="none", delta=clip)
        return self._learning.loss(loss, error, value, batch)


def dqn_values(policy: QNetwork, target: QNetwork, batch: Batch, *, double: bool) -> tuple[Tensor, Tensor]:
    """The value of each action taken and what it is to become, both [B]: reward + discount * max_a Q'(next_obs, a)."""
    with torch.no_grad():
        next_value = target.values(target(batch, "next_"))
        chosen_by = policy.values(policy(batch, "next_")) if double else next_value
        next_action = best_action(chosen_by, batch)
        goal = batch["reward"] + batch["discount"] * next_value.gather(-1, next_action).squeeze(-1)
    return taken_value(policy, batch), goal


def taken_value(policy: QNetwork, batch: Batch) -> Tensor:
    """The value of each action taken, [B]."""
    return policy.values(policy(batch)).gather(-1, batch["action"].unsqueeze(-1)).squeeze(-1)


@torch.no_grad()
def munchausen_target(target: QNetwork, batch: Batch, *, share: float, temperature: float) -> Tensor:
    """What the value of each action taken is to become [B], by pi = softmax(Q' / temperature):

    reward + share * [temperature * log pi(action | obs)] + discount * temperature * log sum_a exp(Q'(next_obs, a) /
    temperature), where the bracket is at least `LEAST_LOG_PROB`. The last part is the soft value, in which the
    paper's sum over actions comes to. Actions that are not allowed have no probability.
    """

    def soft_value(values: Tensor) -> Tensor:
        return temperature * (values / temperature).logsumexp(-1)

    values = allowed(target.values(target(batch)), batch)
    value = values.gather(-1, batch["action"].unsqueeze(-1)).squeeze(-1)
    log_prob = (value - soft_value(values)).clamp(LEAST_LOG_PROB, 0.0)
    next_values = allowed(target.values(target(batch, "next_")), batch, "next_")
    goal: Tensor = batch["reward"] + share * log_prob + batch["discount"] * soft_value(next_values)
    return goal
