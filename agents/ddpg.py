"""Deep deterministic policy gradients (Lillicrap et al. 2016, https://arxiv.org/abs/1509.02971, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.policies.actor import Actor, require_continuous
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import Critics
from agents.updates.deterministic import DeterministicLearning
from agents.updates.minibatches import minibatches
from agents.updates.targets import FollowingConfig
from training.core import Batch, Budget, Counters, to_device
from training.metrics import Mean, Metrics, merge_metrics
from training.networks import NetworkConfig
from training.optimizer import Loss, OptimizerConfig
from training.seeding import generator


@dataclass(frozen=True, kw_only=True)
class DDPGConfig(FollowingConfig):
    """DDPG's hyperparameters; the defaults are the paper's (section 7), without its weight decay.

    Here the critic sees the action from its first layer on, in the paper from the second.
    """

    tau: float = 0.001
    """How far the targets move after each gradient step."""
    critic_network: NetworkConfig = NetworkConfig(hidden=(400, 300), activation="relu")
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-4)
    critic_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-3)


class DDPG(PolicyAndParts):
    """Learns from transitions [B, ...]: a critic, and an actor that climbs it."""

    def __init__(self, policy: Actor, config: DDPGConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_continuous(policy, "DDPG", ("deterministic",))
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        self.critics = Critics(policy, config.critic_network, generator(seed, "critics"), members=1).to(policy.device)
        self._learning = DeterministicLearning(policy, self.critics, config, until=until)
        self.parts = self._learning.parts

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = to_device(batch, self.policy.device)
        learning, measured = self._learning, list[Metrics]()
        for rows in minibatches(data, self._minibatch_size):
            measured.append(learning.critic_optimizer.step(self._critic_loss, data, now, rows))
            measured.append(learning.actor_optimizer.step(self._actor_loss, data, now, rows))
            learning.targets_follow()
        self.policy.update_normalizers(data)
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        goal = self._goal(batch)
        values = self.critics(self.policy.seen(batch), batch["action"].flatten(1))[0].squeeze(-1)
        loss = (values - goal).square()
        return Loss(loss.sum(), len(loss), {"value/mean": Mean(values.detach().mean())})

    def _actor_loss(self, batch: Batch) -> Loss:
        value = self.critics(self.policy.seen(batch), self.policy.action(batch))[0].squeeze(-1)
        return Loss(-value.sum(), len(value), {})

    @torch.no_grad()
    def _goal(self, batch: Batch) -> Tensor:
        """reward + discount * Q'(next_obs, pi'(next_obs)), [B]."""
        obs = self.policy.seen(batch, "next_")
        next_value = self._learning.target(obs, self._learning.target_policy.action_of(obs))[0].squeeze(-1)
        goal: Tensor = batch["reward"] + batch["discount"] * next_value
        return goal
