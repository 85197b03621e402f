"""AlphaZero: a network learns what a tree search found with its help (Silver et al. 2017, "Mastering chess and shogi by
self-play with a general reinforcement learning algorithm", https://arxiv.org/abs/1712.01815).

`alphazero_loss` is its equation 1 but for the weight decay, which is the optimizer's. A game that goes on past the end
of a rollout is not thrown away: there the network's value stands for its result.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch

from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import PolicyAndParts
from agents.updates.configs import PassesConfig
from agents.updates.estimators import lambda_return
from agents.updates.minibatches import shuffled_minibatches
from agents.updates.rollout_samples import continues, discount, explained_variance, to_samples, values
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class AlphaZeroConfig(PassesConfig):
    """AlphaZero's hyperparameters; those of the search are the recipe's."""

    horizon: int = 16
    gamma: float = 1.0
    value_lambda: float = 1.0
    """1: the value that is learned is the game's result; less mixes in what the network says of later positions."""
    value_coefficient: float = 1.0
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3, weight_decay=1e-4, max_grad_norm=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.value_lambda <= 1, "value_lambda", self.value_lambda, "a number from 0 to 1")
        require(
            0 <= self.value_coefficient < inf, "value_coefficient", self.value_coefficient, "a number of at least 0"
        )


class AlphaZero(PolicyAndParts):
    """Learns from rollouts [T, N] that have the `search_policy` [T, N, A] of every position."""

    def __init__(self, policy: ActorCritic, config: AlphaZeroConfig, *, until: Budget, seed: int) -> None:
        self.policy, self._config = policy, config
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "minibatches")
        self.parts: Parts = {"optimizer": self._optimizer, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        data = self._with_results(to_device(batch, self.policy.device))
        value = data.pop("value")  # only measured
        measured = [
            self._optimizer.step(self._loss, data, now, rows)
            for _ in range(config.epochs)
            for rows in shuffled_minibatches(data, config.minibatch_size, self._rng)
        ]
        self.policy.update_normalizers(data)
        explained = {"value/explained_variance": Mean(explained_variance(value, data["return"]))}
        return merge_metrics(measured) | explained, {}

    def _loss(self, batch: Batch) -> Loss:
        return alphazero_loss(self.policy, batch, self._config.value_coefficient)

    @torch.no_grad()
    def _with_results(self, batch: Batch) -> Batch:
        """The rollout as samples [B, ...] with what the search found and what the game came to, for who was to move."""
        config = self._config
        value, next_value = values(self.policy, batch)
        result = lambda_return(
            batch["reward"], discount(batch, config.gamma), next_value, continues(batch), config.value_lambda
        )
        more = {"search_policy": batch["search_policy"], "value": value, "return": result}
        return to_samples(batch, more)


def alphazero_loss(policy: ActorCritic, batch: Batch, value_coefficient: float) -> Loss:
    """The squared error of the value and the cross-entropy to the search's policy, of samples [B]."""
    outputs = policy.actor(policy.actor_encoder(policy.normalized(batch)))
    (logits,) = policy.heads.params(outputs, batch["action_mask"]).values()
    value = policy.value(batch)
    target = batch["search_policy"]
    policy_loss = -(target * logits.log_softmax(-1)).sum(-1)
    value_loss = (value - batch["return"]).square()
    with torch.no_grad():
        measured: Metrics = {
            "policy/loss": Mean(policy_loss.mean()),
            "policy/kl_to_search": Mean((policy_loss + torch.special.xlogy(target, target).sum(-1)).mean()),
            "value/loss": Mean(value_loss.mean()),
        }
    return Loss((policy_loss + value_coefficient * value_loss).sum(), len(value), measured)
