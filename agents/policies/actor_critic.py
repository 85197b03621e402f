"""The policy of the on-policy algorithms: an actor that chooses and a critic that estimates values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import Space
from torch import Tensor

from agents.policies.heads import LOG_STD_RANGE, Categorical, Gaussian, Heads
from agents.policies.policy import Acting, Mode, NetworkPolicy
from envs.vectors.vector import Arrays, named
from training.core import Batch
from training.errors import require
from training.networks import MLP, Encoder, NetworkConfig


@dataclass(frozen=True)
class ActorCriticConfig:
    """The shape of an actor-critic."""

    network: NetworkConfig = NetworkConfig()
    shared_encoder: bool = True
    """One encoder of images for the actor and the critic; the perceptrons behind it are always separate."""
    squash: bool = False
    """Press continuous actions through tanh into the action range, instead of clipping them to it."""
    rescale_action: bool = True
    """Bounded continuous actions are learned in [-1, 1] and rescaled to the bounds of the environment."""
    normalize_observation: bool = False
    """Running mean and variance of float observations; they are first learned in rollouts of their own, then move after
    each update and nowhere else."""
    initial_log_std: float = 0.0
    """Of continuous actions."""
    critic_only: tuple[str, ...] = ()
    """Parts of the observation that the critic alone sees, such as `global` (env.global_state): the policy learns with
    them and acts without. Images have an encoder for the critic of its own then."""

    def __post_init__(self) -> None:
        low, high = LOG_STD_RANGE
        require(low <= self.initial_log_std <= high, "initial_log_std", self.initial_log_std, f"{low:g} to {high:g}")


class ActorCritic(NetworkPolicy):
    """An actor and a critic on the same observations, as separate perceptrons."""

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        config: ActorCriticConfig,
        rng: torch.Generator,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            config,
            rescale_action=config.rescale_action,
            normalize_observation=config.normalize_observation,
        )
        self.heads = Heads(self.action_spaces, squash=config.squash, initial_log_std=config.initial_log_std)
        self.actor_encoder = Encoder(self._seen_by_actor(config.critic_only), config.network, rng)
        self.shares_encoder = config.shared_encoder and not config.critic_only
        self.critic_encoder = (
            self.actor_encoder if self.shares_encoder else Encoder(self.obs_spaces, config.network, rng)
        )
        # A small last layer makes the first policy nearly uniform (Andrychowicz et al. 2021, section 3.2).
        features = self.actor_encoder.out_features
        self.actor = MLP(features, config.network, rng, outputs=self.heads.size, gain=0.01)
        self.critic = MLP(self.critic_encoder.out_features, config.network, rng, outputs=1, gain=1.0)

    def _seen_by_actor(self, critic_only: tuple[str, ...]) -> dict[str, Space[Any]]:
        """The parts of an observation that it acts by; raises UserError where they are not as the config says."""
        for name in critic_only:
            takes = f"parts of the observation, which are {sorted(leaf.name for leaf in self._obs_leaves)}"
            require(any(leaf.name == name for leaf in self._obs_leaves), "policy.critic_only", name, takes)
        unseen = {named("obs", name) for name in critic_only}
        seen = {key: space for key, space in self.obs_spaces.items() if key not in unseen}
        require(bool(seen), "policy.critic_only", critic_only, "less than all parts of the observation")
        self._obs_leaves = tuple(leaf for leaf in self._obs_leaves if leaf.name not in critic_only)
        return seen

    @property
    def plain_head(self) -> Categorical | Gaussian | None:
        """Its head where an action is one choice or a Gaussian vector, which is what the kernels in C++ know."""
        if list(self.heads.heads) != ["action"]:
            return None
        head = self.heads.heads["action"]
        return head if type(head) in (Categorical, Gaussian) else None  # type: ignore[return-value]

    def acting(self, mode: Mode, rows: int) -> Acting:
        outputs_of, heads = self.outputs_of(rows, self.actor_encoder, self.actor), self.heads
        log_std = {key: value.detach().cpu().numpy() for key, value in heads.log_std.items()}
        draw = heads.sample if mode == "explore" else heads.uniform

        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            params = heads.params(outputs_of(step), step.get("action_mask"), log_std)
            return heads.mode(params) if mode == "greedy" else draw(params, noise), state

        return act

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        return self.heads.noise(leading, rng)

    def evaluate(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probability of `action`, entropy and value of each sample, all [...], with their gradients."""
        obs = self.normalized(batch)
        features = self.actor_encoder(obs)
        params = self.heads.params(self.actor(features), batch.get("action_mask"))
        value = self.critic(features if self.shares_encoder else self.critic_encoder(obs)).squeeze(-1).float()
        log_prob, entropy = self.heads.evaluate(params, batch)
        return log_prob, entropy, value

    def log_prob(self, batch: Batch) -> Tensor:
        """Log-probability of `action` [...]."""
        outputs = self.actor(self.actor_encoder(self.normalized(batch)))
        log_prob, _ = self.heads.evaluate(self.heads.params(outputs, batch.get("action_mask")), batch)
        return log_prob

    def value(self, batch: Batch) -> Tensor:
        """The value of each observation [...]."""
        value: Tensor = self.critic(self.critic_encoder(self.normalized(batch))).squeeze(-1).float()
        return value
