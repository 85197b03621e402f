"""REINFORCE with a baseline (Williams 1992; Sutton and Barto 2018, section 13.4).

The policy follows the Monte Carlo return of each step, to the end of its episode; the baseline, which has an optimizer
of its own as in the book, only lowers the variance. Where an episode is cut, by a time limit or by the end of the
rollout, the baseline's value stands for the rest: choose a horizon longer than most episodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import PolicyAndParts
from agents.updates.configs import PolicyGradientConfig
from agents.updates.estimators import lambda_return
from agents.updates.rollout_samples import continues, discount, explained_variance, normalized, to_samples, values
from training.core import Batch, Budget, Counters, to_device
from training.errors import UserError, require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.optimizer.optimizer import check_coverage
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig(PolicyGradientConfig):
    """REINFORCE's hyperparameters."""

    horizon: int = 512
    entropy_coefficient: float = 0.0
    normalize_advantage: bool = True
    baseline_steps: int = 10
    """Gradient steps of the baseline on each rollout."""
    policy_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-3, max_grad_norm=0.5)
    baseline_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-3)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.baseline_steps >= 1, "baseline_steps", self.baseline_steps, "at least 1 step")


class Reinforce(PolicyAndParts):
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
        self.parts: Parts = {
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
