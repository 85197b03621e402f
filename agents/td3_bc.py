"""TD3 with behaviour cloning, for datasets (Fujimoto and Gu 2021, https://arxiv.org/abs/2106.06860).

The critics are TD3's; the actor seeks value and stays near the actions of the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from agents.policies.actor import Actor, require_continuous
from agents.td3 import td3_critic_loss
from agents.updates.critics import Critics
from agents.updates.deterministic import DeterministicLearning, check_smoothed
from agents.updates.parts import Parts, load_parts, save_parts
from training.core import Batch, Budget, Counters, moved, to_device
from training.errors import require
from training.metrics import Mean, Metrics, merge_metrics
from training.networks import NetworkConfig
from training.optimizer import Loss, OptimizerConfig
from training.seeding import generator
from training.state import State


@dataclass(frozen=True)
class TD3BCConfig:
    """Its numbers; the defaults are the paper's (table 3).

    The paper also normalizes the observations: `policy.normalize_observation`.
    """

    minibatch_size: int = 256
    gamma: float = 0.99
    tau: float = 0.005
    """How far the targets move after each step of the actor."""
    critics: int = 2
    critic_network: NetworkConfig = NetworkConfig(hidden=(256, 256), activation="relu")
    policy_delay: int = 2
    """Gradient steps of the critics for each one of the actor and the targets."""
    smoothing_std: float = 0.2
    """Of the noise on the target's actions, which lie in [-1, 1]."""
    smoothing_clip: float = 0.5
    value_weight: float = 2.5
    """Of the value, relative to its mean size, beside the squared distance from the data's actions: alpha."""
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)
    critic_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)

    def __post_init__(self) -> None:
        check_smoothed(self)
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        require(self.value_weight >= 0, "value_weight", self.value_weight, "a number of at least 0")
        parts = self.actor_optimizer.micro_batches
        require(parts == 1, "actor_optimizer.micro_batches", parts, "1: the value's weight is of the whole minibatch")


class TD3BC:
    """Learns from transitions [B, ...] of a dataset."""

    def __init__(self, policy: Actor, config: TD3BCConfig, *, until: Budget, seed: int) -> None:
        require_continuous(policy, "TD3+BC", ("deterministic",))
        self.policy, self._config = policy, config
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self._learning = DeterministicLearning(
            policy,
            self.critics,
            config,
            until=until,
            policy_delay=config.policy_delay,
            whole_batch=True,  # the value's weight is relative to its mean size
        )
        self._rng = generator(seed, "learning")
        self._parts: Parts = {**self._learning.parts, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = to_device(batch, self.policy.device)
        noise = torch.randn(len(data["reward"]), self.policy.head.size, generator=self._rng)
        data["next_noise"] = moved(noise, self.policy.device)
        measured = self._learning.step(self._critic_loss, self._actor_loss, data, now)
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        config = self._config
        return td3_critic_loss(self._learning, batch, std=config.smoothing_std, clip=config.smoothing_clip)

    def _actor_loss(self, batch: Batch) -> Loss:
        action = self.policy.action(batch)
        value = self.critics(self.policy.seen(batch), action, members=1).flatten()
        distance = (action - batch["action"].flatten(1)).square().mean(-1)
        loss = distance - self._config.value_weight / value.detach().abs().mean() * value  # equations 3 and 5
        return Loss(loss.sum(), len(loss), {"policy/distance": Mean(distance.detach().mean(), len(loss))})

    def state_dict(self) -> State:
        return {**save_parts(self.policy, self._parts), "gradient_steps": self._learning.gradient_steps}

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)
        self._learning.gradient_steps = state["gradient_steps"]
