"""Behaviour cloning: the policy learns to do what was done in a dataset, by the likelihood of its actions.

Source: Pomerleau 1991, "Efficient training of artificial neural networks for autonomous navigation". With
`top_fraction` below 1 only the episodes with the highest returns are cloned, the "%BC" of Chen et al. 2021
(https://arxiv.org/abs/2106.01345, section 5.1). Batch size and step size are those of BC in Fujimoto and Gu 2021
(https://arxiv.org/abs/2106.06860, appendix C).
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import PolicyAndParts
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.state import Parts


@dataclass(frozen=True)
class BCConfig:
    """Behaviour cloning's hyperparameters."""

    minibatch_size: int = 256
    top_fraction: float = 1.0
    """Of the episodes, those with the highest returns."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)

    def __post_init__(self) -> None:
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        require(0 < self.top_fraction <= 1, "top_fraction", self.top_fraction, "a number above 0, up to 1")


class BC(PolicyAndParts):
    """Learns from samples [B]: makes the policy's actor more likely to do what they did. Its critic learns nothing."""

    def __init__(self, policy: ActorCritic, config: BCConfig, *, until: Budget) -> None:
        self.policy = policy
        actor = {name: weight for name, weight in policy.named_parameters() if not name.startswith("critic")}
        self._optimizer = Optimizer(actor, config.optimizer, until=until)
        self.parts: Parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        batch = to_device(batch, self.policy.device)
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        return bc_loss(self.policy, batch)


def bc_loss(policy: ActorCritic, batch: Batch) -> Loss:
    """The negative log-likelihood of the actions of samples [B, ...], which hold observations and actions."""
    log_prob = policy.log_prob(batch)
    return Loss(-log_prob.sum(), len(log_prob), {"policy/log_prob": Mean(log_prob.detach().mean(), len(log_prob))})
