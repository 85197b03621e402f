"""Q-learning on rollouts of many environments (Gallici et al. 2024, "Simplifying deep temporal difference learning",
https://arxiv.org/abs/2407.04811, algorithm 1): neither a replay nor a target network, but normalized layers.

The target is Peng's Q(lambda): the lambda return whose values are those of the best action, whatever was done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.policies.policy import PolicyAndParts
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.updates.configs import PassesConfig
from agents.updates.estimators import lambda_return
from agents.updates.minibatches import shuffled_minibatches
from agents.updates.q_learning import Epsilon, EpsilonConfig, require_distribution, taken
from agents.updates.rollout_samples import continues, discount, to_samples, values
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Last, Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class PQNConfig(PassesConfig):
    """PQN's hyperparameters; the defaults are those of the paper's code for MinAtar.

    Its optimizer is RAdam, which does not differ from Adam after some thousand steps.
    """

    policy_config: ClassVar[type] = QNetworkConfig
    """Of the policy that it takes."""

    horizon: int = 32
    epochs: int = 2
    minibatch_size: int = 128
    q_lambda: float = 0.65
    """0 is one-step Q-learning."""
    epsilon: EpsilonConfig = EpsilonConfig()
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=5e-4, schedule=Schedule("linear"), max_grad_norm=10.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.q_lambda <= 1, "q_lambda", self.q_lambda, "a number from 0 to 1")


class PQN(PolicyAndParts):
    """Learns action values from rollouts [T, N]: `epochs` passes over each."""

    def __init__(self, policy: QNetwork, config: PQNConfig, *, until: Budget, seed: int) -> None:
        require_distribution(policy, "mean", "PQN")
        noise = policy.config.noisy_std
        require(noise is None, "policy.noisy_std", noise, "None: PQN explores by epsilon alone")
        self.policy, self._config = policy, config
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self._rng, self._epsilon = generator(seed, "minibatches"), Epsilon(policy, config.epsilon, until)
        self.parts: Parts = {"optimizer": self._optimizer, "rng": self._rng, "epsilon": self._epsilon}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        batch = to_device(batch, self.policy.device)
        _, next_value = values(self.policy, batch)
        target = lambda_return(
            batch["reward"], discount(batch, config.gamma), next_value, continues(batch), config.q_lambda
        )
        data = to_samples(batch, {"return": target})
        measured = [
            self._optimizer.step(self._loss, data, now, rows)
            for _ in range(config.epochs)
            for rows in shuffled_minibatches(data, config.minibatch_size, self._rng)
        ]
        self.policy.update_normalizers(data)
        return merge_metrics(measured) | {"policy/epsilon": Last(self._epsilon.set(now))}, {}

    def _loss(self, batch: Batch) -> Loss:
        value = taken(self.policy(batch), batch["action"]).squeeze(-1)
        loss = 0.5 * (value - batch["return"]).square()
        measured: Metrics = {"value/loss": Mean(loss.detach().mean()), "value/mean": Mean(value.detach().mean())}
        return Loss(loss.sum(), len(loss), measured)
