"""Truncated quantile critics (Kuznetsov et al. 2020, https://arxiv.org/abs/2005.04269, algorithm 1).

Soft actor-critic whose critics give quantiles, of which the target leaves out the largest against overestimation.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from agents.actor import Actor, require_continuous
from agents.critics import Critics, seen
from agents.qr_dqn import quantile_huber
from agents.replay import minibatches
from agents.targets import follow, frozen_copy
from training.core import Batch, Budget, Counters, State, require
from training.metrics import Mean, Metrics, merge_metrics
from training.networks import NetworkConfig
from training.optimizer import Loss, Optimizer
from training.optimizer_config import OptimizerConfig
from training.seeding import generator


@dataclass(frozen=True)
class TQCConfig:
    """TQC's numbers; the defaults are the paper's (its appendix B), with critics of SAC's size."""

    gamma: float = 0.99
    tau: float = 0.005
    """How far the target critics move after each gradient step."""
    critics: int = 5
    quantiles: int = 25
    """Of each critic."""
    dropped_quantiles: int = 2
    """For each critic, of all the critics' quantiles together: the largest."""
    critic_network: NetworkConfig = NetworkConfig(hidden=(256, 256), activation="relu")
    initial_temperature: float = 1.0
    target_entropy: float | None = None
    """In nats; None: minus the number of action dimensions."""
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)
    """Also of the temperature."""
    critic_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)

    def __post_init__(self) -> None:
        require(0 <= self.gamma <= 1, "gamma", self.gamma, "a number from 0 to 1")
        require(0 < self.tau <= 1, "tau", self.tau, "a number above 0, up to 1")
        require(self.critics >= 1, "critics", self.critics, "at least 1")
        require(self.quantiles >= 1, "quantiles", self.quantiles, "at least 1")
        dropped = self.dropped_quantiles
        require(0 <= dropped < self.quantiles, "dropped_quantiles", dropped, f"0 to {self.quantiles - 1}")
        start = self.initial_temperature
        require(start > 0, "initial_temperature", start, "a number above 0")


class TQC:
    """Learns from transitions [B, ...]: quantiles of the soft value, an actor that seeks their mean and entropy."""

    def __init__(self, policy: Actor, config: TQCConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_continuous(policy, "TQC", ("gaussian", "state_dependent"))
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        weights = generator(seed, "critics")
        shape = {"members": config.critics, "outputs": config.quantiles}
        self._critics = Critics(policy, config.critic_network, weights, **shape).to(policy.device)
        self._target = frozen_copy(self._critics)
        self._log_temperature = nn.Parameter(torch.full((), log(config.initial_temperature), device=policy.device))
        entropy = config.target_entropy
        self._target_entropy = -float(policy.head.size) if entropy is None else entropy
        acting = {**dict(policy.named_parameters()), "log_temperature": self._log_temperature}
        self._actor_optimizer = Optimizer(acting, config.actor_optimizer, until=until, name="actor")
        judging = dict(self._critics.named_parameters())
        self._critic_optimizer = Optimizer(judging, config.critic_optimizer, until=until, name="critic")
        self._rng = generator(seed, "learning")

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = {key: value.to(self.policy.device) for key, value in batch.items()}
        noise = torch.randn(2, len(data["reward"]), self.policy.head.size, generator=self._rng)
        data["noise"], data["next_noise"] = noise.to(self.policy.device)
        measured = []
        for rows in minibatches(data, self._minibatch_size):
            measured.append(self._critic_optimizer.step(self._critic_loss, data, now, rows))
            measured.append(self._actor_optimizer.step(self._actor_loss, data, now, rows))
            follow(self._target, self._critics, self._config.tau)
        self.policy.update_normalizers(data)
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        temperature, config = self._log_temperature.detach().exp(), self._config
        kept = config.critics * (config.quantiles - config.dropped_quantiles)
        goal = truncated_target(self.policy, self._target, temperature, kept, batch)
        quantiles = self._critics(seen(self.policy, batch), batch["action"].flatten(1))
        # Averaged over quantiles and targets, summed over the critics (section 3.3).
        loss = quantile_huber(quantiles, goal).sum(0) / config.quantiles
        return Loss(loss.sum(), len(loss), {"value/mean": Mean(quantiles.detach().mean())})

    def _actor_loss(self, batch: Batch) -> Loss:
        action, log_prob = self.policy.reparametrized(batch, batch["noise"])
        value = self._critics(seen(self.policy, batch), action).mean((0, -1))
        temperature = self._log_temperature.exp()
        # Each is differentiated by its own parameters only.
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
            "critics": self._critics.state_dict(),
            "target": self._target.state_dict(),
            "log_temperature": self._log_temperature,
            "actor_optimizer": self._actor_optimizer.state_dict(),
            "critic_optimizer": self._critic_optimizer.state_dict(),
            "rng": self._rng.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        self.policy.load_state_dict(state["policy"]["weights"])
        self._critics.load_state_dict(state["critics"])
        self._target.load_state_dict(state["target"])
        with torch.no_grad():
            self._log_temperature.copy_(state["log_temperature"])
        self._actor_optimizer.load_state_dict(state["actor_optimizer"])
        self._critic_optimizer.load_state_dict(state["critic_optimizer"])
        self._rng.set_state(state["rng"])


@torch.no_grad()
def truncated_target(policy: Actor, target: Critics, temperature: Tensor, kept: int, batch: Batch) -> Tensor:
    """reward + discount * (z_i(next_obs, a') - temperature * log pi(a')) for the `kept` smallest z_i, [B, kept].

    `next_noise` [B, n] makes the next actions a' (section 3.3).
    """
    next_action, log_prob = policy.reparametrized(batch, batch["next_noise"], "next_")
    quantiles = target(seen(policy, batch, "next_"), next_action).movedim(0, 1).flatten(1)
    smallest = quantiles.sort(-1).values[:, :kept]
    next_value = smallest - (temperature * log_prob).unsqueeze(-1)
    goal: Tensor = batch["reward"].unsqueeze(-1) + batch["discount"].unsqueeze(-1) * next_value
    return goal
