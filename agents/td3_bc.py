"""TD3 with behaviour cloning, for datasets (Fujimoto and Gu 2021, https://arxiv.org/abs/2106.06860).

The critics are TD3's; the actor seeks value and stays near the actions of the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from agents.policies.actor import Actor, require_continuous
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import Critics
from agents.updates.deterministic import DeterministicLearning, SmoothedConfig, smoothed_critic_loss
from agents.updates.targets import GradientSteps
from training.core import Batch, Budget, Counters, moved, to_device
from training.errors import require
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class TD3BCConfig(SmoothedConfig):
    """TD3+BC's hyperparameters; the defaults are the paper's (table 3).

    The paper also normalizes the observations: `policy.normalize_observation`.
    """

    minibatch_size: int = 256
    value_weight: float = 2.5
    """Of the value, relative to its mean size, beside the squared distance from the data's actions: alpha."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        require(self.value_weight >= 0, "value_weight", self.value_weight, "a number of at least 0")
        parts = self.actor_optimizer.micro_batches
        require(parts == 1, "actor_optimizer.micro_batches", parts, "1: the value's weight is of the whole minibatch")


class TD3BC(PolicyAndParts):
    """Learns from transitions [B, ...] of a dataset."""

    def __init__(self, policy: Actor, config: TD3BCConfig, *, until: Budget, seed: int) -> None:
        require_continuous(policy, "TD3+BC", ("deterministic",))
        self.policy, self._config = policy, config
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self._learning = DeterministicLearning(
            policy,
            self.critics,
            tau=config.tau,
            actor_optimizer=config.actor_optimizer,
            critic_optimizer=config.critic_optimizer,
            until=until,
            whole_batch=True,  # the value's weight is relative to its mean size
        )
        self._gradient_steps = GradientSteps()
        self._rng = generator(seed, "learning")
        self.parts: Parts = {**self._learning.parts, "rng": self._rng, "gradient_steps": self._gradient_steps}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = to_device(batch, self.policy.device)
        noise = torch.randn(len(data["reward"]), self.policy.head.size, generator=self._rng)
        data["next_noise"] = moved(noise, self.policy.device)
        learning = self._learning
        measured = [learning.critic_optimizer.step(self._critic_loss, data, now)]
        if self._gradient_steps.count(every=self._config.policy_delay):
            measured.append(learning.actor_optimizer.step(self._actor_loss, data, now))
            learning.targets_follow()
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        return smoothed_critic_loss(self._learning, self._config, batch)

    def _actor_loss(self, batch: Batch) -> Loss:
        action = self.policy.action(batch)
        value = self.critics(self.policy.seen(batch), action, members=1).flatten()
        distance = (action - batch["action"].flatten(1)).square().mean(-1)
        loss = distance - self._config.value_weight / value.detach().abs().mean() * value  # equations 3 and 5
        return Loss(loss.sum(), len(loss), {"policy/distance": Mean(distance.detach().mean(), len(loss))})
