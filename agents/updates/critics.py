"""Critics: what an algorithm learns beside its actor, to estimate what actions and observations are worth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from agents.policies.actor import Actor
from agents.updates.configs import DiscountedConfig
from agents.updates.targets import FollowingConfig
from training.core import Batch
from training.errors import require
from training.networks import MLP, Encoder, EnsembleMLP, NetworkConfig
from training.optimizer import OptimizerConfig


@dataclass(frozen=True, kw_only=True)
class CriticsConfig(DiscountedConfig):
    """Of an actor with several critics."""

    critics: int = 2
    """The smallest of their values counts (Fujimoto et al. 2018)."""
    critic_network: NetworkConfig = NetworkConfig(hidden=(256, 256), activation="relu")
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)
    critic_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.critics >= 1, "critics", self.critics, "at least 1")


@dataclass(frozen=True, kw_only=True)
class FollowedCriticsConfig(CriticsConfig, FollowingConfig):
    """Of critics that a target follows."""


class Critics(nn.Module):
    """`members` critics of observation and continuous action: [members, B, outputs].

    They see what the actor sees: its normalization is used, and not theirs to train.
    """

    def __init__(
        self,
        policy: Actor,
        network: NetworkConfig,
        rng: torch.Generator,
        *,
        members: int,
        outputs: int = 1,
        renormalized: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(policy.obs_spaces, network, rng)
        inputs = self.encoder.out_features + policy.head.size
        self.ensemble = EnsembleMLP(inputs, network, rng, members=members, outputs=outputs, renormalized=renormalized)

    def forward(self, obs: Batch, action: Tensor, members: int | None = None, *, learns: bool = False) -> Tensor:
        """Of normalized observations [B, ...] and flat actions [B, n]; with `members` that many, the first ones.

        `learns`: batch renormalization does, where there is any.
        """
        inputs = torch.cat([self.encoder(obs), action], -1)
        values: Tensor = self.ensemble(inputs, members, learns=learns).float()
        return values

    def smallest(self, obs: Batch, action: Tensor) -> Tensor:
        """The smallest of the members' values, [B], against overestimation (Fujimoto et al. 2018, equation 10)."""
        value: Tensor = self(obs, action).squeeze(-1).amin(0)
        return value


class DiscreteCritics(nn.Module):
    """`members` critics of every discrete action: [members, B, actions]."""

    def __init__(self, policy: Actor, network: NetworkConfig, rng: torch.Generator, *, members: int) -> None:
        super().__init__()
        self.encoder = Encoder(policy.obs_spaces, network, rng)
        features = self.encoder.out_features
        self.ensemble = EnsembleMLP(features, network, rng, members=members, outputs=policy.head.size)

    def forward(self, obs: Batch) -> Tensor:
        values: Tensor = self.ensemble(self.encoder(obs)).float()
        return values


class StateValue(nn.Module):
    """What an observation is worth, whatever is done: [B]."""

    def __init__(self, policy: Actor, network: NetworkConfig, rng: torch.Generator) -> None:
        super().__init__()
        self.encoder = Encoder(policy.obs_spaces, network, rng)
        self.mlp = MLP(self.encoder.out_features, network, rng, outputs=1, gain=None)

    def forward(self, obs: Batch) -> Tensor:
        """Of normalized observations [B, ...]."""
        value: Tensor = self.mlp(self.encoder(obs)).squeeze(-1).float()
        return value


def prefixed(name: str, module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a critic under names that no parameter of the policy has."""
    return {f"{name}.{key}": value for key, value in module.named_parameters()}
