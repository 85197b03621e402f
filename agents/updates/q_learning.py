"""What DQN and its relatives with distributions share: two networks, minibatches, epsilon and priorities.

An algorithm hands in its loss; everything that it does with it is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from agents.policies.q_network import QNetwork
from agents.replay.replay import minibatches
from agents.updates.parts import Parts, load_parts, save_parts
from agents.updates.targets import copy_weights, frozen_copy
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Last, Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.seeding import generator
from training.state import State


@dataclass(frozen=True)
class EpsilonConfig:
    """The chance of a random action: it falls linearly, then stays."""

    initial: float = 1.0
    final: float = 0.05
    fraction: float = 0.1
    """Of the run, in which it falls."""

    def __post_init__(self) -> None:
        for key in ("initial", "final", "fraction"):
            require(0 <= getattr(self, key) <= 1, key, getattr(self, key), "a number from 0 to 1")

    def at(self, spent: float) -> float:
        """Epsilon when the fraction `spent` of the budget is."""
        fallen = min(1.0, spent / self.fraction) if self.fraction else 1.0
        return self.initial + fallen * (self.final - self.initial)


class QLearningConfig(Protocol):
    """What every one of these algorithms' configs says."""

    @property
    def gamma(self) -> float: ...

    @property
    def target_gradient_steps(self) -> int: ...

    @property
    def epsilon(self) -> EpsilonConfig: ...

    @property
    def optimizer(self) -> OptimizerConfig: ...


def check(config: QLearningConfig) -> None:
    """The checks of what all of these configs say."""
    require(0 <= config.gamma <= 1, "gamma", config.gamma, "a number from 0 to 1")
    steps = config.target_gradient_steps
    require(steps >= 1, "target_gradient_steps", steps, "at least 1")
    parts = config.optimizer.micro_batches
    require(parts == 1, "optimizer.micro_batches", parts, "1: the errors of a minibatch are kept in one piece")


class QLearning:
    """The networks of a value-based algorithm and their updates.

    Args:
        policy: the network that learns and acts; `target` is its copy.
        config: of the algorithm.
        until: the run's budget.
        seed: of the noise on weights.
        minibatch_size: samples of one gradient step.
    """

    def __init__(
        self, policy: QNetwork, config: QLearningConfig, *, until: Budget, seed: int, minibatch_size: int
    ) -> None:
        self.policy, self.target = policy, frozen_copy(policy)
        self._config, self._until = config, until
        # The errors of a minibatch, which come back as priorities, are kept in one piece.
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until, whole_batch=True)
        self._rng = generator(seed, "noise on weights")
        self._gradient_steps = 0
        self._parts: Parts = {"target": self.target, "optimizer": self._optimizer, "rng": self._rng}
        policy.epsilon.fill_(config.epsilon.initial)
        policy.draw_noise(self._rng)
        # What a compiled loss writes into beside its sum.
        self._error = torch.zeros(minibatch_size, device=policy.device)

    def loss(self, loss: Tensor, error: Tensor, value: Tensor, batch: Batch) -> Loss:
        """The loss of a minibatch from that of each sample, its error and the value of its action, all [B]."""
        self._error.copy_(error.detach().abs())
        weighted = loss * batch["weight"] if "weight" in batch else loss
        measured: Metrics = {"value/loss": Mean(loss.detach().mean()), "value/mean": Mean(value.detach().mean())}
        return Loss(weighted.sum(), len(loss), measured)

    def update(self, loss_fn: Callable[[Batch], Loss], batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        """One gradient step on each minibatch of the batch, in turn."""
        index = batch.pop("index", None)
        data = to_device(batch, self.policy.device)
        measured, errors = [], []
        for rows in minibatches(data, len(self._error)):
            self.policy.draw_noise(self._rng)
            self.target.draw_noise(self._rng)
            measured.append(self._optimizer.step(loss_fn, data, now, rows))
            if index is not None:
                errors.append(self._error.clone())
            self._gradient_steps += 1
            if self._gradient_steps % self._config.target_gradient_steps == 0:
                copy_weights(self.target, self.policy)
        self.policy.update_normalizers(data)
        self.policy.draw_noise(self._rng)  # what it acts with is not what it learned with
        epsilon = self._config.epsilon.at(self._until.fraction(now))
        self.policy.epsilon.fill_(epsilon)
        metrics = merge_metrics(measured) | {"policy/epsilon": Last(epsilon)}
        return metrics, {} if index is None else {"index": index, "priority": torch.cat(errors)}

    def state_dict(self) -> State:
        return {**save_parts(self.policy, self._parts), "gradient_steps": self._gradient_steps}

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)
        self._gradient_steps = state["gradient_steps"]
