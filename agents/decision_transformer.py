"""The Decision Transformer (Chen et al. 2021, https://arxiv.org/abs/2106.01345).

`agents.replay.windows` draws the sequences of algorithm 1, and the loss is its loss. For continuous actions that is a
likelihood whose deviation is learned (Zheng et al. 2022, https://arxiv.org/abs/2202.05607, section 4); the paper's
squared error is the case of a fixed one. The defaults are those of Chen et al.'s table 9 for Gym.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from agents.policies.decision_transformer import DecisionTransformerPolicy
from agents.policies.policy import PolicyAndParts
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.state import Parts


@dataclass(frozen=True)
class DecisionTransformerConfig:
    """The Decision Transformer's hyperparameters."""

    minibatch_size: int = 64
    """Sequences in one gradient step."""
    optimizer: OptimizerConfig = OptimizerConfig(
        kind="adamw", learning_rate=1e-4, weight_decay=1e-4, max_grad_norm=0.25, schedule=Schedule(warmup=0.1)
    )

    def __post_init__(self) -> None:
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")


class DecisionTransformer(PolicyAndParts):
    """Learns from sequences [B, K]: makes each action more likely after what led to it and the return that came."""

    def __init__(self, policy: DecisionTransformerPolicy, config: DecisionTransformerConfig, *, until: Budget) -> None:
        self.policy = policy
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self.parts: Parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        batch = to_device(batch, self.policy.device)
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        return decision_transformer_loss(self.policy, batch)


def decision_transformer_loss(policy: DecisionTransformerPolicy, batch: Batch) -> Loss:
    """The negative log-likelihood of every valid action of sequences [B, K, ...]."""
    valid = batch["valid"].float()
    total: Tensor = (policy.log_prob(batch) * valid).sum()
    return Loss(-total, valid.sum(), {})
