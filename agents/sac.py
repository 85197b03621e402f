"""Soft actor-critic with a learned temperature (Haarnoja et al. 2018, arXiv:1812.05905, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from agents.actor import Actor, require_continuous
from agents.critics import Critics, seen
from agents.replay import minibatches
from agents.targets import follow, frozen_copy
from training.core import Batch, Budget, Counters, State, require
from training.metrics import Mean, Metrics, merge_metrics
from training.networks import NetworkConfig
from training.optimizer import Loss, Optimizer
from training.optimizer_config import OptimizerConfig
from training.seeding import generator


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
        require(0 <= self.gamma <= 1, "gamma", self.gamma, "a number from 0 to 1")
        require(0 < self.tau <= 1, "tau", self.tau, "a number above 0, up to 1")
        require(self.critics >= 1, "critics", self.critics, "at least 1")
        start = self.initial_temperature
        require(start > 0, "initial_temperature", start, "a number above 0")


class SAC:
    """Learns from transitions [B, ...]: critics of the soft value, an actor that seeks value and entropy."""

    def __init__(self, policy: Actor, config: SACConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_continuous(policy, "SAC", ("gaussian", "state_dependent"))
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self.target = frozen_copy(self.critics)
        self._log_temperature = nn.Parameter(torch.full((), log(config.initial_temperature), device=policy.device))
        entropy = config.target_entropy
        self._target_entropy = -float(policy.head.size) if entropy is None else entropy
        acting = {**dict(policy.named_parameters()), "log_temperature": self._log_temperature}
        self._actor_optimizer = Optimizer(acting, config.actor_optimizer, until=until, name="actor")
        judging = dict(self.critics.named_parameters())
        self._critic_optimizer = Optimizer(judging, config.critic_optimizer, until=until, name="critic")
        self._rng = generator(seed, "learning")

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        device = self.policy.device
        data = {key: value.to(device) for key, value in batch.items()}
        noise = torch.randn(2, len(data["reward"]), self.policy.head.size, generator=self._rng)
        data["noise"], data["next_noise"] = noise.to(device)
        measured = []
        for rows in minibatches(data, self._minibatch_size):
            measured.append(self._critic_optimizer.step(self._critic_loss, data, now, rows))
            measured.append(self._actor_optimizer.step(self._actor_loss, data, now, rows))
            follow(self.target, self.critics, self._config.tau)
        self.policy.update_normalizers(data)
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        temperature = self._log_temperature.detach().exp()
        goal = soft_target(self.policy, self.target, temperature, batch)
        values = self.critics(seen(self.policy, batch), batch["action"].flatten(1)).squeeze(-1)
        # Half the squared error, summed over the critics (equation 5).
        loss = 0.5 * (values - goal).square().sum(0)
        return Loss(loss.sum(), len(loss), {"value/mean": Mean(values.detach().mean())})

    def _actor_loss(self, batch: Batch) -> Loss:
        action, log_prob = self.policy.reparametrized(batch, batch["noise"])
        value = self.critics(seen(self.policy, batch), action).squeeze(-1).amin(0)
        temperature = self._log_temperature.exp()
        # Equations 9 and 18; each is differentiated by its own parameters only.
        actor_loss = temperature.detach() * log_prob - value
        temperature_loss = -temperature * (log_prob.detach() + self._target_entropy)
        measured: Metrics = {
            "policy/entropy": Mean(-log_prob.detach().mean()),
            "policy/temperature": Mean(temperature.detach()),
        }
        return Loss((actor_loss + temperature_loss).sum(), len(log_prob), measured)

    def state_dict(self) -> State:
        return {
            "policy": self.policy.save(),
            "critics": self.critics.state_dict(),
            "target": self.target.state_dict(),
            "log_temperature": self._log_temperature,
            "actor_optimizer": self._actor_optimizer.state_dict(),
            "critic_optimizer": self._critic_optimizer.state_dict(),
            "rng": self._rng.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        self.policy.load_state_dict(state["policy"]["weights"])
        self.critics.load_state_dict(state["critics"])
        self.target.load_state_dict(state["target"])
        with torch.no_grad():
            self._log_temperature.copy_(state["log_temperature"])
        self._actor_optimizer.load_state_dict(state["actor_optimizer"])
        self._critic_optimizer.load_state_dict(state["critic_optimizer"])
        self._rng.set_state(state["rng"])


@torch.no_grad()
def soft_target(policy: Actor, target: Critics, temperature: Tensor, batch: Batch) -> Tensor:
    """reward + discount * (min_i Q_i(next_obs, a') - temperature * log pi(a')), [B] (equations 2, 3 and 6).

    `next_noise` [B, n] makes the next actions a'.
    """
    next_action, log_prob = policy.reparametrized(batch, batch["next_noise"], "next_")
    next_value = target(seen(policy, batch, "next_"), next_action).squeeze(-1).amin(0)
    goal: Tensor = batch["reward"] + batch["discount"] * (next_value - temperature * log_prob)
    return goal
