"""Advantage actor-critic (Mnih et al. 2016, https://arxiv.org/abs/1602.01783, algorithm S3), synchronous.

One gradient step on each short rollout. The defaults are the paper's for its feed-forward agent, with the step size of
the synchronous version in OpenAI Baselines.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import torch

from agents.acting.rollouts import continues, discount, explained_variance, to_samples, values
from agents.policies.actor_critic import ActorCritic
from agents.ppo import LossCoefficients
from agents.updates.estimators import gae
from agents.updates.parts import Parts, load_parts, save_parts
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.state import State


@dataclass(frozen=True)
class A2CConfig:
    """A2C's numbers."""

    horizon: int = 5
    """Steps of each environment in one rollout."""
    gamma: float = 0.99
    gae_lambda: float = 1.0
    """1 is the paper's n-step return."""
    value_coefficient: float = 0.5
    entropy_coefficient: float = 0.01
    optimizer: OptimizerConfig = OptimizerConfig(kind="rmsprop", learning_rate=7e-4, eps=1e-5, max_grad_norm=0.5)

    def __post_init__(self) -> None:
        require(self.horizon >= 1, "horizon", self.horizon, "at least 1 step")
        require(0 <= self.gamma <= 1, "gamma", self.gamma, "a number from 0 to 1")
        require(
            0 <= self.value_coefficient < inf, "value_coefficient", self.value_coefficient, "a number of at least 0"
        )
        require(isfinite(self.entropy_coefficient), "entropy_coefficient", self.entropy_coefficient, "a finite number")
        require(0 <= self.gae_lambda <= 1, "gae_lambda", self.gae_lambda, "a number from 0 to 1")


class A2C:
    """Learns from rollouts [T, N]: one policy-gradient step on each."""

    def __init__(self, policy: ActorCritic, config: A2CConfig, *, until: Budget, seed: int) -> None:
        self.policy = policy
        self._config = config
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self._parts: Parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        batch = to_device(batch, self.policy.device)
        value, next_value = values(self.policy, batch)
        advantage = gae(
            batch["reward"], discount(batch, config.gamma), value, next_value, continues(batch), config.gae_lambda
        )
        data = to_samples(batch, {"advantage": advantage, "value": value, "return": advantage + value})
        metrics = self._optimizer.step(self._loss, data, now)
        self.policy.update_normalizers(data)
        metrics["value/explained_variance"] = Mean(explained_variance(data["value"], data["return"]))
        return metrics, {}

    def _loss(self, batch: Batch) -> Loss:
        return a2c_loss(self.policy, self._config, batch)

    def state_dict(self) -> State:
        return save_parts(self.policy, self._parts)

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)


def a2c_loss(policy: ActorCritic, config: LossCoefficients, batch: Batch) -> Loss:
    """The policy gradient, the value error and the entropy bonus of samples [B, ...].

    `batch` holds what the policy evaluates and `advantage` and `return`, each [B].
    """
    log_prob, entropy, value = policy.evaluate(batch)
    policy_loss = -log_prob * batch["advantage"]
    value_loss = (value - batch["return"]).square()
    loss = policy_loss + config.value_coefficient * value_loss - config.entropy_coefficient * entropy
    with torch.no_grad():
        metrics: Metrics = {
            "policy/loss": Mean(policy_loss.mean(), len(loss)),
            "policy/entropy": Mean(entropy.mean(), len(loss)),
            "value/loss": Mean(value_loss.mean(), len(loss)),
        }
    return Loss(loss.sum(), len(loss), metrics)
