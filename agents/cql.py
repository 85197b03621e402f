"""Conservative Q-learning, CQL(H) (Kumar et al. 2020, https://arxiv.org/abs/2006.04779, algorithm 1), on SAC.

Beside their error, the critics minimize the values of actions that the dataset does not contain.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from agents.policies.actor import Actor, require_continuous
from agents.policies.heads import SquashedGaussian
from agents.policies.policy import PolicyAndParts
from agents.updates.critics import Critics
from agents.updates.soft import SoftConfig, SoftLearning, soft_actor_loss, soft_target, with_action_noise
from training.core import Batch, Budget, Counters, moved
from training.errors import require
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss, OptimizerConfig
from training.seeding import generator
from training.state import Parts


@dataclass(frozen=True, kw_only=True)
class CQLConfig(SoftConfig):
    """CQL's hyperparameters; the defaults are those for MuJoCo (appendix F, and CORL's), with SAC's networks."""

    minibatch_size: int = 256
    conservative_weight: float = 5.0
    """Of the penalty beside half the squared error: alpha in equation 4. The published code and CORL have the whole
    squared error there, so that their 10 is 5 here."""
    sampled_actions: int = 10
    """From each of three distributions, to estimate the penalty."""
    target_entropy: float | None = None
    """In nats; None: minus the number of action dimensions (the paper's appendix D)."""
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-5)
    """Also of the temperature."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")
        weight = self.conservative_weight
        require(weight >= 0, "conservative_weight", weight, "a number of at least 0")
        require(self.sampled_actions >= 1, "sampled_actions", self.sampled_actions, "at least 1")


class CQL(PolicyAndParts):
    """Learns from transitions [B, ...] of a dataset."""

    def __init__(self, policy: Actor, config: CQLConfig, *, until: Budget, seed: int) -> None:
        require_continuous(policy, "CQL", ("gaussian",))
        self.policy, self._config = policy, config
        weights = generator(seed, "critics")
        self.critics = Critics(policy, config.critic_network, weights, members=config.critics).to(policy.device)
        self._learning = SoftLearning(policy, self.critics, config, target_entropy=config.target_entropy, until=until)
        self.target = self._learning.target
        self._rng = generator(seed, "learning")
        self.parts: Parts = {**self._learning.parts, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        data = with_action_noise(batch, self.policy, self._rng)
        size, actions, device = len(data["reward"]), self.policy.head.size, self.policy.device
        shape = (size, self._config.sampled_actions, actions)
        data["uniform"] = moved(2 * torch.rand(shape, generator=self._rng) - 1, device)
        samples = torch.randn(2, *shape, generator=self._rng)
        data["sample_noise"], data["next_sample_noise"] = moved(samples, device)
        learning = self._learning
        measured = [
            learning.critic_optimizer.step(self._critic_loss, data, now),
            learning.actor_optimizer.step(self._actor_loss, data, now),  # and the temperature's
        ]
        learning.target_follows()
        return merge_metrics(measured), {}

    def _critic_loss(self, batch: Batch) -> Loss:
        # The target has no entropy, as in the published code.
        goal = soft_target(self.policy, self.target, torch.zeros(()), batch)
        obs = self.policy.seen(batch)
        values = self.critics(obs, batch["action"].flatten(1)).squeeze(-1)
        error = 0.5 * (values - goal).square().sum(0)
        penalty = (self._soft_maximum(obs, batch) - values).sum(0)  # equation 4
        loss = error + self._config.conservative_weight * penalty
        measured: Metrics = {
            "value/mean": Mean(values.detach().mean(), len(loss)),
            "value/penalty": Mean(penalty.detach().mean(), len(loss)),
        }
        return Loss(loss.sum(), len(loss), measured)

    def _soft_maximum(self, obs: Batch, batch: Batch) -> Tensor:
        """log sum_a exp Q(obs, a), [critics, B], from actions of three distributions, each weighed by its density.

        They are the uniform one and the policy's on `obs` and on `next_obs` (the paper's appendix F).
        """
        samples, actions = self._config.sampled_actions, self.policy.head.size
        with torch.no_grad():
            own, own_log_prob = self._drawn(batch, batch["sample_noise"])
            later, later_log_prob = self._drawn(batch, batch["next_sample_noise"], "next_")
        uniform_log_prob = torch.full_like(own_log_prob, -actions * log(2.0))
        action = torch.cat([batch["uniform"], own, later], 1)
        log_prob = torch.cat([uniform_log_prob, own_log_prob, later_log_prob], 1)
        repeated = {key: value.repeat_interleave(3 * samples, 0) for key, value in obs.items()}
        values = self.critics(repeated, action.flatten(0, 1)).squeeze(-1)
        maximum: Tensor = (values.unflatten(-1, (-1, 3 * samples)) - log_prob).logsumexp(-1) - log(3.0 * samples)
        return maximum

    def _drawn(self, batch: Batch, noise: Tensor, prefix: str = "") -> tuple[Tensor, Tensor]:
        """Actions [B, samples, n] that `noise` makes, with their log-probabilities [B, samples]."""
        assert isinstance(self.policy.head, SquashedGaussian)
        return self.policy.head.reparametrized(self.policy.params(batch, prefix).unsqueeze(1), noise)

    def _actor_loss(self, batch: Batch) -> Loss:
        return soft_actor_loss(self.policy, self.critics.smallest, self._learning.temperature, batch)
