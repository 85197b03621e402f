"""REINFORCE with a baseline (Williams 1992; Sutton and Barto 2018, section 13.4).

The policy follows the Monte Carlo return of each step, to the end of its episode; the baseline, which has an optimizer
of its own as in the book, only lowers the variance. Where an episode is cut, by a time limit or by the end of the
rollout, the baseline's value stands for the rest: choose a horizon longer than most episodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import torch

from agents.acting.rollouts import continues, discount, explained_variance, normalized, to_samples, values
from agents.policies.actor_critic import ActorCritic
from agents.updates.estimators import lambda_return
from agents.updates.parts import Parts, load_parts, save_parts
from training.core import Batch, Budget, Counters, to_device
from training.errors import UserError, require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.optimizer.optimizer import check_coverage
from training.state import State


@dataclass(frozen=True)
class ReinforceConfig:
    """REINFORCE's numbers."""

    horizon: int = 512
    """Steps of each environment in one rollout."""
    gamma: float = 0.99
    entropy_coefficient: float = 0.0
    normalize_advantage: bool = True
    baseline_steps: int = 10
    """Gradient steps of the baseline on each rollout."""
    policy_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-3, max_grad_norm=0.5)
    baseline_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-3)

    def __post_init__(self) -> None:
        require(self.horizon >= 1, "horizon", self.horizon, "at least 1 step")
        require(0 <= self.gamma <= 1, "gamma", self.gamma, "a number from 0 to 1")
        require(isfinite(self.entropy_coefficient), "entropy_coefficient", self.entropy_coefficient, "a finite number")
        require(self.baseline_steps >= 1, "baseline_steps", self.baseline_steps, "at least 1 step")


class Reinforce:
    """Learns from rollouts [T, N]: one policy-gradient step on each, then some steps of the baseline."""

    def __init__(self, policy: ActorCritic, config: ReinforceConfig, *, until: Budget, seed: int) -> None:
        if policy.config.shared_encoder and next(policy.actor_encoder.parameters(), None) is not None:
            raise UserError("policy.shared_encoder = True: it takes False here, the baseline learns on its own")
        self.policy = policy
        self._config = config
        parameters = dict(policy.named_parameters())
        baseline = {key: value for key, value in parameters.items() if key.startswith("critic")}
        actor = {key: value for key, value in parameters.items() if key not in baseline}
        self._policy_optimizer = Optimizer(actor, config.policy_optimizer, until=until, name="policy_optimizer")
        self._baseline_optimizer = Optimizer(
            baseline, config.baseline_optimizer, until=until, name="baseline_optimizer"
        )
        check_coverage(policy, [self._policy_optimizer, self._baseline_optimizer])
        self._parts: Parts = {
            "policy_optimizer": self._policy_optimizer,
            "baseline_optimizer": self._baseline_optimizer,
        }

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        batch = to_device(batch, self.policy.device)
        value, next_value = values(self.policy, batch)
        target = lambda_return(
            batch["reward"], discount(batch, config.gamma), next_value, continues(batch), td_lambda=1.0
        )
        data = to_samples(batch, {"advantage": target - value, "value": value, "return": target})
        if config.normalize_advantage:
            data["advantage"] = normalized(data["advantage"])
        metrics = self._policy_optimizer.step(self._policy_loss, data, now)
        for _ in range(config.baseline_steps):
            metrics |= self._baseline_optimizer.step(self._baseline_loss, data, now)
        self.policy.update_normalizers(data)
        metrics["value/explained_variance"] = Mean(explained_variance(data["value"], data["return"]))
        return metrics, {}

    def _policy_loss(self, batch: Batch) -> Loss:
        return policy_loss(self.policy, self._config, batch)

    def _baseline_loss(self, batch: Batch) -> Loss:
        return baseline_loss(self.policy, batch)

    def state_dict(self) -> State:
        return save_parts(self.policy, self._parts)

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)


def policy_loss(policy: ActorCritic, config: ReinforceConfig, batch: Batch) -> Loss:
    """Minus the log-probability times the advantage, of samples [B, ...] (Sutton and Barto 2018, equation 13.11)."""
    log_prob, entropy, _ = policy.evaluate(batch)
    loss = -log_prob * batch["advantage"] - config.entropy_coefficient * entropy
    with torch.no_grad():
        metrics: Metrics = {
            "policy/loss": Mean((-log_prob * batch["advantage"]).mean(), len(loss)),
            "policy/entropy": Mean(entropy.mean(), len(loss)),
        }
    return Loss(loss.sum(), len(loss), metrics)


def baseline_loss(policy: ActorCritic, batch: Batch) -> Loss:
    """The squared error of the baseline, of samples [B, ...]."""
    loss = (policy.value(batch) - batch["return"]).square()
    return Loss(loss.sum(), len(loss), {"value/loss": Mean(loss.detach().mean(), len(loss))})
