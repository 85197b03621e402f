"""What DQN, C51 and QR-DQN share: a target network, noise on weights, epsilon, and errors that become priorities."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from agents.policies.q_network import QNetwork
from agents.updates.configs import DiscountedConfig
from agents.updates.targets import GradientSteps, copy_weights, follower, frozen_copy
from training.core import Batch, Budget, Counters
from training.errors import UserError, require
from training.metrics import Last, Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.seeding import generator
from training.state import Parts, State


@dataclass(frozen=True)
class EpsilonConfig:
    """The probability of a random action: it falls linearly, then stays."""

    initial: float = 1.0
    final: float = 0.05
    fraction: float = 0.1
    """The part of the run in which it falls."""

    def __post_init__(self) -> None:
        for key in ("initial", "final", "fraction"):
            require(0 <= getattr(self, key) <= 1, key, getattr(self, key), "a number from 0 to 1")

    def at(self, spent: float) -> float:
        """Epsilon once this fraction of the budget is spent."""
        fallen = min(1.0, spent / self.fraction) if self.fraction else 1.0
        return self.initial + fallen * (self.final - self.initial)


@dataclass(frozen=True, kw_only=True)
class QLearningConfig(DiscountedConfig):
    """Of all three."""

    double: bool = False
    """The network that learns chooses the next action, the target network says what it is worth."""
    target_gradient_steps: int = 2_500
    """Gradient steps, not env steps, between two copies of the network into the target network."""
    target_tau: float | None = None
    """Moves the target by this fraction of the way to the network after every gradient step (Lillicrap et al. 2016), in
    place of the copies; None: it is copied."""
    epsilon: EpsilonConfig = EpsilonConfig()
    optimizer: OptimizerConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = self.target_gradient_steps
        require(steps >= 1, "target_gradient_steps", steps, "at least 1")
        tau = self.target_tau
        require(tau is None or 0 < tau <= 1, "target_tau", tau, "a number above 0, up to 1, or None")
        parts = self.optimizer.micro_batches
        require(parts == 1, "optimizer.micro_batches", parts, "1: the errors of a minibatch are kept in one piece")


class QLearning:
    """What is learned and kept beside the policy, with the optimizer; `parts` are what is saved of it.

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
        self._config, self._epsilon = config, Epsilon(policy, config.epsilon, until)
        self._target_follows = config.target_tau and follower(self.target, policy, config.target_tau)
        # The errors of a minibatch, which come back as priorities, are kept in one piece.
        self.optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until, whole_batch=True)
        self._rng = generator(seed, "noise on weights")
        self._gradient_steps = GradientSteps()
        self.parts: Parts = {
            "target": self.target,
            "optimizer": self.optimizer,
            "rng": self._rng,
            "gradient_steps": self._gradient_steps,
            "epsilon": self._epsilon,
        }
        policy.draw_noise(self._rng)
        # What a compiled loss writes into beside its sum.
        self._error = torch.zeros(minibatch_size, device=policy.device)

    def draw_noise(self) -> None:
        """Draws the noise on the weights of both networks for the next gradient step."""
        self.policy.draw_noise(self._rng)
        self.target.draw_noise(self._rng)

    def loss(self, loss: Tensor, error: Tensor, value: Tensor, batch: Batch) -> Loss:
        """The loss of a minibatch from that of each sample, its error and the value of its action, all [B]."""
        self._error.copy_(error.detach().abs())
        weighted = loss * batch["weight"] if "weight" in batch else loss
        measured: Metrics = {"value/loss": Mean(loss.detach().mean()), "value/mean": Mean(value.detach().mean())}
        return Loss(weighted.sum(), len(loss), measured)

    def stepped(self) -> Tensor:
        """After each gradient step: the target follows, or is a new copy when it is time; returns the errors [B]."""
        if self._target_follows:
            self._target_follows()
        elif self._gradient_steps.count(every=self._config.target_gradient_steps):
            copy_weights(self.target, self.policy)
        return self._error.clone()

    def updated(self, data: Batch, now: Counters) -> Metrics:
        """After each update on `data`: what the policy acts with next, which is not what it learned with."""
        self.policy.update_normalizers(data)
        self.policy.draw_noise(self._rng)
        return {"policy/epsilon": Last(self._epsilon.set(now))}


class Epsilon:
    """Sets the policy's epsilon; saved is how far the run has come, so that a child with another epsilon acts by it."""

    def __init__(self, policy: QNetwork, config: EpsilonConfig, until: Budget) -> None:
        self._policy, self._config, self._until = policy, config, until
        self.set(Counters())

    def set(self, now: Counters) -> float:
        epsilon = self._config.at(self._until.fraction(now))
        self._policy.epsilon.fill_(epsilon)
        self._now = now
        return epsilon

    def state_dict(self) -> State:
        return asdict(self._now)

    def load_state_dict(self, state: State) -> None:
        self.set(Counters(**state))


def require_distribution(policy: QNetwork, takes: str, algorithm: str) -> None:
    """Raises UserError unless the network's outputs are of the kind that the algorithm takes."""
    if policy.config.distribution != takes:
        raise UserError(f"policy.distribution = {policy.config.distribution!r}: {algorithm} takes {takes!r}")


def best_action(values: Tensor, batch: Batch) -> Tensor:
    """The next action [B, 1] that is worth most among those allowed, of `values` [B, actions]."""
    return allowed(values, batch, "next_").argmax(-1, keepdim=True)


def allowed(values: Tensor, batch: Batch, prefix: str = "") -> Tensor:
    """`values` [B, actions], with -inf for actions that are not allowed on `obs`, or on `next_obs` with "next_"."""
    mask = f"{prefix}action_mask"
    return values.masked_fill(~batch[mask], -torch.inf) if mask in batch else values


def taken(outputs: Tensor, action: Tensor) -> Tensor:
    """What outputs [B, actions, atoms] say of `action` [B]: [B, atoms]."""
    return outputs.gather(-2, action.view(-1, 1, 1).expand(-1, 1, outputs.shape[-1])).squeeze(-2)
