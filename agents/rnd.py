"""Random network distillation (Burda et al. 2018, https://arxiv.org/abs/1810.12894) on PPO.

What the agent has rarely seen is worth a visit: a network learns to predict the output of a fixed random one, and its
error on an observation is the intrinsic reward of reaching it (section 2.2). `RND.update` is the paper's algorithm 1
from the rollout on. There are two critics: the return of the environment ends with the episode, that of novelty goes on
across episodes, for what is new stays new after a failure (section 2.3). Rewards and observations are normalized as in
section 2.4; the policy follows the sum of both advantages by PPO's clipped objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import PolicyAndParts
from agents.updates.configs import ClippedConfig, GAEConfig
from agents.updates.critics import prefixed
from agents.updates.estimators import gae
from agents.updates.losses import ppo_loss
from agents.updates.minibatches import shuffled_minibatches
from agents.updates.reward_scale import RewardScale
from agents.updates.rollout_samples import (
    continues,
    discount,
    explained_variance,
    next_obs,
    to_samples,
    values,
    with_normalized_advantage,
)
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Last, Mean, Metrics, merge_metrics
from training.networks import MLP, Encoder, NetworkConfig, Normalizer
from training.optimizer import Loss, Optimizer, OptimizerConfig, Rule
from training.optimizer.optimizer import check_coverage
from training.seeding import generator
from training.state import Parts

OBS_CLIP = 5.0
"""Of normalized observations, in standard deviations (section 2.4)."""


@dataclass(frozen=True, kw_only=True)
class RNDConfig(ClippedConfig, GAEConfig):
    """RND's hyperparameters; the defaults are the paper's, but networks, warm-up and clipping are for small tasks."""

    gamma: float = 0.999
    """Of the environment's rewards."""
    intrinsic_gamma: float = 0.99
    horizon: int = 128
    extrinsic_coefficient: float = 2.0
    """Of the advantage by the environment's rewards."""
    intrinsic_coefficient: float = 1.0
    """Of the advantage by novelty."""
    clip_range: float = 0.1
    value_coefficient: float = 0.5
    """Of the error of each critic."""
    entropy_coefficient: float = 0.001
    warmup_env_steps: int = 2_048
    """In these first env steps only the statistics of observations are learned: the policy stays random."""
    predictor_fraction: float = 0.25
    """How many of the samples the predictor learns from: the paper's for 128 environments, for 32 it has all."""
    embedding_size: int = 64
    """Outputs of the random network."""
    target_network: NetworkConfig = NetworkConfig(hidden=(64, 64), activation="relu")
    predictor_network: NetworkConfig = NetworkConfig(hidden=(64, 64, 64, 64), activation="relu")
    """Two layers deeper than the random one, as in the paper."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-4, eps=1e-5, max_grad_norm=0.5)
    """Of policy and critics."""
    predictor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-4, eps=1e-5)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.embedding_size >= 1, "embedding_size", self.embedding_size, "at least 1")
        require(self.warmup_env_steps >= 0, "warmup_env_steps", self.warmup_env_steps, "at least 0")
        gamma = self.intrinsic_gamma
        require(0 <= gamma <= 1, "intrinsic_gamma", gamma, "a number from 0 to 1")
        for name in ("extrinsic_coefficient", "intrinsic_coefficient"):
            require(0 <= getattr(self, name) < inf, name, getattr(self, name), "a number of at least 0")
        fraction = self.predictor_fraction
        takes = f"a number from 1 / minibatch_size = {1 / self.minibatch_size:g} to 1"
        require(1 / self.minibatch_size <= fraction <= 1, "predictor_fraction", fraction, takes)


class Novelty(nn.Module):
    """How new observations are: the error of a trained network that predicts a fixed random one.

    It has its own normalization of arrays and images, clipped to +-5: a fixed network cannot adapt to their scale.
    """

    def __init__(self, obs_spaces: Mapping[str, Space[Any]], config: RNDConfig, rng: torch.Generator) -> None:
        super().__init__()
        boxes = {key: space for key, space in obs_spaces.items() if isinstance(space, spaces.Box)}
        self.normalizers = nn.ModuleDict({key: Normalizer(*space.shape) for key, space in boxes.items()})
        self.target = _embedding(obs_spaces, config.target_network, config.embedding_size, rng)
        self.predictor = _embedding(obs_spaces, config.predictor_network, config.embedding_size, rng)

    def normalized(self, batch: Batch) -> Batch:
        """The batch with its observations normalized by the present statistics."""
        seen = {key: normalizer(batch[key]) for key, normalizer in self.normalizers.items()}
        return batch | {key: value.clamp(-OBS_CLIP, OBS_CLIP) for key, value in seen.items()}

    def update_normalizers(self, batch: Batch) -> None:
        for key, normalizer in self.normalizers.items():
            assert isinstance(normalizer, Normalizer)
            normalizer.update(batch[key])

    def error(self, batch: Batch) -> Tensor:
        """The mean squared error [...] of the prediction for normalized observations [..., *obs_shape]."""
        with torch.no_grad():
            target = self.target(batch)
        error: Tensor = (self.predictor(batch) - target).square().mean(-1)
        return error


class RND(PolicyAndParts):
    """Learns from rollouts [T, N]: PPO on both advantages, and the predictor on what was seen."""

    def __init__(self, policy: ActorCritic, config: RNDConfig, *, until: Budget, seed: int) -> None:
        self.policy = policy
        self._config = config
        weights = generator(seed, "rnd weights")
        self._novelty = Novelty(policy.obs_spaces, config, weights).to(policy.device)
        # The second head beside the policy's critic, on the same features.
        critic = MLP(policy.critic_encoder.out_features, policy.config.network, weights, outputs=1)
        self._intrinsic_critic = critic.to(policy.device)
        judging = prefixed("intrinsic_critic", critic)
        self._optimizer = Optimizer(dict(policy.named_parameters()) | judging, config.optimizer, until=until)
        predictor = config.predictor_optimizer
        self._predictor_optimizer = Optimizer(
            dict(self._novelty.named_parameters()),
            replace(predictor, rules=(Rule("target.*", frozen=True), *(predictor.rules or (Rule("*"),)))),
            until=until,
            name="predictor_optimizer",
        )
        parts = nn.ModuleList([policy, critic, self._novelty])
        check_coverage(parts, [self._optimizer, self._predictor_optimizer])
        # Its returns become [N] with the first rollout.
        self._reward_scale = RewardScale(1, gamma=config.intrinsic_gamma)
        self._rng = generator(seed, "minibatches")
        self._prepare = with_normalized_advantage if config.normalize_advantage else None
        self.parts: Parts = {
            "novelty": self._novelty,
            "intrinsic_critic": self._intrinsic_critic,
            "optimizer": self._optimizer,
            "predictor_optimizer": self._predictor_optimizer,
            "reward_scale": self._reward_scale,
            "rng": self._rng,
        }
        self._clip_range = torch.tensor(config.clip_range, device=policy.device)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        batch = to_device(batch, self.policy.device)
        reached = next_obs(batch)
        if now.env_steps < config.warmup_env_steps:
            self._novelty.update_normalizers(to_samples(batch | reached, {}))
            self.policy.update_normalizers(to_samples(batch, {}))
            return {}, {}
        reward, metrics = self.intrinsic_reward(batch, reached)
        data = self._with_targets(batch, reward)
        value, intrinsic_value = data.pop("value"), data.pop("intrinsic_value")  # only measured
        self._novelty.update_normalizers(to_samples(batch | reached, {}))
        seen = to_samples(self._novelty.normalized(batch | reached), {})
        seen = {key: seen[key] for key in reached}
        learned = round(config.predictor_fraction * config.minibatch_size)
        measured: list[Metrics] = []
        for _ in range(config.epochs):
            for rows in shuffled_minibatches(data, config.minibatch_size, self._rng):
                measured.append(self._optimizer.step(self._loss, data, now, rows, self._prepare))
                # The rows are in random order: the first of them are as good as any.
                measured.append(self._predictor_optimizer.step(self._predictor_loss, seen, now, rows[:learned]))
        self.policy.update_normalizers(data)
        metrics |= {
            "value/explained_variance": Mean(explained_variance(value, data["return"])),
            "value/intrinsic_explained_variance": Mean(explained_variance(intrinsic_value, data["intrinsic_return"])),
        }
        return merge_metrics(measured) | metrics, {}

    @torch.no_grad()
    def intrinsic_reward(self, batch: Batch, reached: Batch) -> tuple[Tensor, Metrics]:
        """The novelty of the observation that each step reached [T, N], and what is measured of it.

        It is divided by the running standard deviation of its discounted sum, which no end of an episode interrupts.
        """
        error = self._novelty.error(self._novelty.normalized(reached))
        valid = batch.get("valid", torch.ones_like(error, dtype=torch.bool))
        error = error * valid
        # The return goes on over the ends of episodes, but not from environments that were lost to those after them.
        begins = (~valid).all(0).expand_as(valid)
        reward = self._reward_scale(error.cpu(), begins.cpu(), valid.cpu()).to(error)
        metrics: Metrics = {
            "exploration/prediction_error": Mean(error.mean()),
            "exploration/intrinsic_reward_mean": Mean(reward.mean()),
            "exploration/intrinsic_return_std": Last(self._reward_scale.std),
        }
        return reward, metrics

    @torch.no_grad()
    def _with_targets(self, batch: Batch, intrinsic_reward: Tensor) -> Batch:
        """The rollout as samples [B, ...] with their log-probability, advantage and both returns."""
        config = self._config
        value, next_value = values(self.policy, batch)
        extrinsic = gae(
            batch["reward"], discount(batch, config.gamma), value, next_value, continues(batch), config.gae_lambda
        )
        # The row after a step, also when that is the first of the next episode: there are no ends.
        intrinsic_value = self._intrinsic_value(batch)
        following, intrinsic_value = intrinsic_value[1:], intrinsic_value[:-1]
        always = torch.ones_like(value)
        intrinsic = gae(
            intrinsic_reward, config.intrinsic_gamma * always, intrinsic_value, following, always, config.gae_lambda
        )
        more = {
            "advantage": config.extrinsic_coefficient * extrinsic + config.intrinsic_coefficient * intrinsic,
            "value": value,
            "return": extrinsic + value,
            "intrinsic_value": intrinsic_value,
            "intrinsic_return": intrinsic + intrinsic_value,
        }
        data = to_samples(batch, more)
        data["log_prob"] = self.policy.log_prob(data)
        return data

    def _intrinsic_value(self, batch: Batch) -> Tensor:
        features = self.policy.critic_encoder(self.policy.normalized(batch))
        value: Tensor = self._intrinsic_critic(features).squeeze(-1).float()
        return value

    def _loss(self, batch: Batch) -> Loss:
        """PPO's, and the error of the second critic."""
        loss = ppo_loss(self.policy.evaluate(batch), self._config, self._clip_range, batch)
        error = (self._intrinsic_value(batch) - batch["intrinsic_return"]).square()
        metrics = loss.metrics | {"value/intrinsic_loss": Mean(error.detach().mean(), len(error))}
        return Loss(loss.sum + self._config.value_coefficient * error.sum(), loss.count, metrics)

    def _predictor_loss(self, batch: Batch) -> Loss:
        error = self._novelty.error(batch)
        return Loss(error.sum(), len(error), {})


def _embedding(
    obs_spaces: Mapping[str, Space[Any]], config: NetworkConfig, outputs: int, rng: torch.Generator
) -> nn.Sequential:
    encoder = Encoder(obs_spaces, config, rng)
    return nn.Sequential(encoder, MLP(encoder.out_features, config, rng, outputs=outputs, gain=2**0.5))
