"""Soft actor-critic with a learned temperature (Haarnoja et al. 2018, arXiv:1812.05905, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from agents.policies.actor import Actor, require_continuous
from agents.replay.replay import minibatches
from agents.updates.critics import Critics
from agents.updates.parts import Parts, load_parts, save_parts
from agents.updates.soft import SoftLearning, Temperature, check
from training.core import Batch, Budget, Counters, moved, to_device
from training.metrics import Mean, Metrics, merge_metrics
from training.networks import NetworkConfig
from training.optimizer import Loss, OptimizerConfig
from training.seeding import generator
from training.state import State


@dataclass(frozen=True)
class SACConfig:
    """SAC's numbers; the defaults are the paper's (table 1)."""

    gamma: float = 0.99
    tau: float = 0.005
    """How far the target critics move after each gradient step."""
    critics: int = 2
    """The smallest of their values counts (Fujimoto et al. 2018)."""
    critic_network: NetworkConfig = NetworkConfig(hidden=(256, 256), activation="relu")
    initial_temperature: float = 1.0
    target_entropy: float | None = None
    """In nats; None: minus the number of action dimensions (the paper's appendix D)."""
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)
    """Also of the temperature."""
    critic_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)

    def __post_init__(self) -> None:
        check(self)


class SAC:
    """Learns from transitions [B, ...]: critics of the soft value, an actor that seeks value and entropy."""

    def __init__(self, policy: Actor, config: SACConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_continuous(policy, "SAC", ("gaussian", "state_dependent"))
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self._learning = SoftLearning(policy, self.critics, config, target_entropy=config.target_entropy, until=until)
        self.target = self._learning.target
        self._rng = generator(seed, "learning")
        self._parts: Parts = {**self._learning.parts, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        device = self.policy.device
        data = to_device(batch, device)
        noise = torch.randn(2, len(data["reward"]), self.policy.head.size, generator=self._rng)
        data["noise"], data["next_noise"] = moved(noise, device)
        measured: list[Metrics] = []
        for rows in minibatches(data, self._minibatch_size):
            measured += self._learning.step(self._critic_loss, self._actor_loss, data, now, rows)
        self.policy.update_normalizers(data)
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        temperature = self._learning.temperature()
        goal = soft_target(self.policy, self.target, temperature, batch)
        values = self.critics(self.policy.seen(batch), batch["action"].flatten(1)).squeeze(-1)
        # Half the squared error, summed over the critics (equation 5).
        loss = 0.5 * (values - goal).square().sum(0)
        return Loss(loss.sum(), len(loss), {"value/mean": Mean(values.detach().mean(), len(loss))})

    def _actor_loss(self, batch: Batch) -> Loss:
        return sac_actor_loss(self.policy, self.critics.smallest, self._learning.temperature, batch)

    def state_dict(self) -> State:
        return save_parts(self.policy, self._parts)

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)


class Value(Protocol):
    """What critics say of normalized observations [B, ...] and flat actions [B, n], as one number: [B]."""

    def __call__(self, obs: Batch, action: Tensor, /) -> Tensor: ...


def sac_actor_loss(policy: Actor, value: Value, temperature: Temperature, batch: Batch) -> Loss:
    """temperature * log pi(a) - Q(obs, a) (equation 9), and the temperature's own loss (equation 18).

    `noise` [B, n] makes the actions a. Each is differentiated by its own parameters only.
    """
    action, log_prob = policy.reparametrized(batch, batch["noise"])
    actor_loss = temperature() * log_prob - value(policy.seen(batch), action)
    measured: Metrics = {
        "policy/entropy": Mean(-log_prob.detach().mean(), len(log_prob)),
        "policy/temperature": Mean(temperature()),
    }
    return Loss((actor_loss + temperature.loss(-log_prob)).sum(), len(log_prob), measured)


@torch.no_grad()
def soft_target(policy: Actor, target: Critics, temperature: Tensor, batch: Batch) -> Tensor:
    """reward + discount * (min_i Q_i(next_obs, a') - temperature * log pi(a')), [B] (equations 2, 3 and 6).

    `next_noise` [B, n] makes the next actions a'.
    """
    next_action, log_prob = policy.reparametrized(batch, batch["next_noise"], "next_")
    next_value = target.smallest(policy.seen(batch, "next_"), next_action)
    goal: Tensor = batch["reward"] + batch["discount"] * (next_value - temperature * log_prob)
    return goal
