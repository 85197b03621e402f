"""Twin delayed deep deterministic policy gradients.

Fujimoto et al. 2018, https://arxiv.org/abs/1802.09477, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.policies.actor import Actor, require_continuous
from agents.replay.replay import minibatches
from agents.updates.critics import Critics
from agents.updates.deterministic import DeterministicLearning, check_smoothed
from agents.updates.parts import Parts, load_parts, save_parts
from training.core import Batch, Budget, Counters, moved, to_device
from training.metrics import Mean, Metrics, merge_metrics
from training.networks import NetworkConfig
from training.optimizer import Loss, OptimizerConfig
from training.seeding import generator
from training.state import State


@dataclass(frozen=True)
class TD3Config:
    """TD3's numbers; the defaults are the paper's, with networks and step size of its published code."""

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
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)
    critic_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)

    def __post_init__(self) -> None:
        check_smoothed(self)


class TD3:
    """Learns from transitions [B, ...]: two critics against overestimation, an actor that follows them later."""

    def __init__(self, policy: Actor, config: TD3Config, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_continuous(policy, "TD3", ("deterministic",))
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self._learning = DeterministicLearning(
            policy, self.critics, config, until=until, policy_delay=config.policy_delay
        )
        self._rng = generator(seed, "learning")
        self._parts: Parts = {**self._learning.parts, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        device = self.policy.device
        data = to_device(batch, device)
        noise = torch.randn(len(data["reward"]), self.policy.head.size, generator=self._rng)
        data["next_noise"] = moved(noise, device)
        measured: list[Metrics] = []
        for rows in minibatches(data, self._minibatch_size):
            measured += self._learning.step(self._critic_loss, self._actor_loss, data, now, rows)
        self.policy.update_normalizers(data)
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        config = self._config
        return td3_critic_loss(self._learning, batch, std=config.smoothing_std, clip=config.smoothing_clip)

    def _actor_loss(self, batch: Batch) -> Loss:
        value = self.critics(self.policy.seen(batch), self.policy.action(batch), members=1).flatten()
        return Loss(-value.sum(), len(value), {})

    def state_dict(self) -> State:
        return {**save_parts(self.policy, self._parts), "gradient_steps": self._learning.gradient_steps}

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)
        self._learning.gradient_steps = state["gradient_steps"]


def td3_critic_loss(learning: DeterministicLearning, batch: Batch, *, std: float, clip: float) -> Loss:
    """The squared error of the critics, summed over them; `std` and `clip` smooth the target's actions."""
    policy, critics = learning.policy, learning.critics
    goal = smoothed_target(policy, learning.target_policy, learning.target, batch, std=std, clip=clip)
    values = critics(policy.seen(batch), batch["action"].flatten(1)).squeeze(-1)
    loss = (values - goal).square().sum(0)
    return Loss(loss.sum(), len(loss), {"value/mean": Mean(values.detach().mean(), len(loss))})


@torch.no_grad()
def smoothed_target(
    policy: Actor, target_policy: Actor, target: Critics, batch: Batch, *, std: float, clip: float
) -> Tensor:
    """reward + discount * min_i Q_i'(next_obs, pi'(next_obs) + clipped noise), [B] (equations 10 and 14).

    The normalization is that of `policy`: the target has none of its own.
    """
    obs = policy.seen(batch, "next_")
    noise = (std * batch["next_noise"]).clamp(-clip, clip)
    action = (target_policy.action_of(obs) + noise).clamp(-1.0, 1.0)
    goal: Tensor = batch["reward"] + batch["discount"] * target.smallest(obs, action)
    return goal
