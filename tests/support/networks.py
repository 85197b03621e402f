"""Encoders as a user writes them: plain ones, and with what is easily got wrong."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def size_of(of: dict[str, Space[Any]]) -> int:
    return sum(spaces.flatdim(space) if not isinstance(space, spaces.Discrete) else 1 for space in of.values())


class Plain(nn.Module):
    """Of any spaces of numbers."""

    def __init__(self, observation_spaces: dict[str, Space[Any]], width: int = 16) -> None:
        super().__init__()
        self.layers: nn.Module = nn.Sequential(nn.Linear(size_of(observation_spaces), width), nn.Tanh())
        self.out_features = width

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        features: Tensor = self.layers(
            torch.cat([value.float().reshape(len(value), -1) for value in observations.values()], 1)
        )
        return features


class Noisy(Plain):
    """With what train mode changes."""

    def __init__(self, observation_spaces: dict[str, Space[Any]], width: int = 16, share: float = 0.2) -> None:
        super().__init__(observation_spaces, width)
        inputs = size_of(observation_spaces)
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.Tanh(), *([nn.Dropout(share)] if share else [])
        )


class Lazy(Plain):
    """Without `out_features`, and its sizes only known when it is called."""

    def __init__(self, observation_spaces: dict[str, Space[Any]]) -> None:
        nn.Module.__init__(self)
        self.layers = nn.LazyLinear(8)


class Extractor(nn.Module):
    """As Stable-Baselines3 knows them, without its base class."""

    def __init__(self, observation_space: spaces.Box, features_dim: int = 16) -> None:
        super().__init__()
        self.space, self.features_dim = observation_space, features_dim
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(spaces.flatdim(observation_space), features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        assert observations.dtype == torch.float32
        features: Tensor = self.layers(observations)
        return features


class Branching(Plain):
    """Whose forward the compiler does not take."""

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        features = super().forward(observations)
        return features if float(features.sum()) < 1e9 else -features


class Wrong(Plain):
    """One mistake, by its name."""

    def __init__(self, observation_spaces: dict[str, Space[Any]], mistake: str) -> None:
        if mistake == "key":
            observation_spaces["nothing"]
        super().__init__(observation_spaces)
        self.mistake = mistake
        if mistake == "frozen":
            self.layers.requires_grad_(requires_grad=False)
        if mistake == "plain tensor":
            self.scale = torch.ones(2)
        if mistake == "device":
            self.scale = nn.Parameter(torch.ones(2, device="meta"))
        if mistake == "said":
            self.out_features = 3

    def forward(self, observations: dict[str, Tensor]) -> Any:
        features = super().forward(observations)
        if self.mistake == "flat":
            return features.flatten()
        if self.mistake == "pair":
            return features, features
        if self.mistake == "integers":
            return features.long()
        if self.mistake == "always drops":
            return F.dropout(features, 0.5)
        return features @ features if self.mistake == "product" else features


def no_network() -> None: ...
