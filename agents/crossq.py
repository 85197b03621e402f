"""CrossQ (Bhatt et al. 2024, https://arxiv.org/abs/1902.05605): soft actor-critic with batch renormalization in place
of target networks.

Critics see this step and the next in one batch, so that one set of statistics is of both. The losses of
actor and temperature are SAC's, in `agents.updates.soft`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from agents.policies.actor import Actor, require_continuous
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import Critics
from agents.updates.minibatches import minibatches
from agents.updates.soft import TemperatureConfig, TemperatureLearning, soft_actor_loss, with_action_noise
from agents.updates.targets import GradientSteps
from training.core import Batch, Budget, Counters
from training.errors import require
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss, OptimizerConfig
from training.seeding import generator
from training.state import Parts

FAST = OptimizerConfig(learning_rate=1e-3, betas=(0.5, 0.999))


@dataclass(frozen=True, kw_only=True)
class CrossQConfig(TemperatureConfig):
    """CrossQ's hyperparameters; the defaults are the paper's, with critics an eighth as wide as its 2,048."""

    target_entropy: float | None = None
    """In nats; None: minus the number of action dimensions."""
    policy_delay: int = 3
    """Gradient steps of the critics for each one of the actor."""
    actor_optimizer: OptimizerConfig = FAST
    critic_optimizer: OptimizerConfig = FAST

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.policy_delay >= 1, "policy_delay", self.policy_delay, "at least 1")


class CrossQ(PolicyAndParts):
    """Learns from transitions [B, ...]: renormalized critics without a target, and an actor that follows them later."""

    def __init__(self, policy: Actor, config: CrossQConfig, *, until: Budget, seed: int, minibatch_size: int) -> None:
        require_continuous(policy, "CrossQ", ("gaussian", "state_dependent"), renormalized=True)
        self.policy, self._config, self._minibatch_size = policy, config, minibatch_size
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics, renormalized=True).to(
            policy.device
        )
        self._learning = TemperatureLearning(
            policy, self.critics, config, target_entropy=config.target_entropy, until=until, whole_batch=True
        )
        self._gradient_steps = GradientSteps()
        self._rng = generator(seed, "learning")
        self.parts: Parts = {**self._learning.parts, "rng": self._rng, "gradient_steps": self._gradient_steps}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = with_action_noise(batch, self.policy, self._rng)
        learning, measured = self._learning, list[Metrics]()
        for rows in minibatches(data, self._minibatch_size):
            measured.append(learning.critic_optimizer.step(self._critic_loss, data, now, rows))
            if self._gradient_steps.count(every=self._config.policy_delay):
                measured.append(learning.actor_optimizer.step(self._actor_loss, data, now, rows))
        self.policy.update_normalizers(data)
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        policy = self.policy
        with torch.no_grad():  # so that the actor acts by its running statistics
            next_action, next_log_prob = policy.reparametrized(batch, batch["next_noise"], "next_")
        obs, next_obs = policy.seen(batch), policy.seen(batch, "next_")
        both = {key: torch.cat([value, next_obs[key]]) for key, value in obs.items()}
        actions = torch.cat([batch["action"].flatten(1), next_action])
        values, next_values = self.critics(both, actions, learns=True).squeeze(-1).chunk(2, dim=1)
        next_value = next_values.detach().amin(0) - self._learning.temperature() * next_log_prob
        goal = batch["reward"] + batch["discount"] * next_value
        loss = 0.5 * (values - goal).square().sum(0)
        return Loss(loss.sum(), len(loss), {"value/mean": Mean(values.detach().mean(), len(loss))})

    def _actor_loss(self, batch: Batch) -> Loss:
        return soft_actor_loss(self.policy, self.critics.smallest, self._learning.temperature, batch)
