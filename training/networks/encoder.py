"""One encoder for any observation space: images, vectors, discrete values, and dicts of these; or somebody's own."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.spaces import Space
from torch import Generator, Tensor, nn

from training.errors import UserError
from training.networks.config import NetworkConfig
from training.networks.convolutions import CNN, ResidualCNN, to_float
from training.networks.own import OwnEncoder
from training.networks.perceptrons import called
from training.spaces import is_image


class Encoder(nn.Module):
    """One feature vector [..., out_features] from observations {key: [..., *shape]} with any leading shape.

    Features are in the order of `observation_spaces`. Images (see `is_image`) go through convolutions (see CNN);
    other arrays are flattened, uint8 scaled by 1/255; Discrete and every part of MultiDiscrete become one-hot vectors;
    MultiBinary becomes 0.0 and 1.0. Where the config has a `module`, that encodes all of them: see OwnEncoder.
    Raises UserError for any other space, naming its key.
    """

    def __init__(
        self, observation_spaces: Mapping[str, Space[object]], config: NetworkConfig, generator: Generator
    ) -> None:
        super().__init__()
        self.own: OwnEncoder | None = None
        if config.module is not None:
            self.own = OwnEncoder(observation_spaces, config, generator)
            self.out_features = self.own.out_features
            return
        encoders = {key: _encoder(key, space, config, generator) for key, space in observation_spaces.items()}
        self.encoders = nn.ModuleDict(encoders)
        self.out_features = sum(int(encoder.out_features) for encoder in encoders.values())

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        if self.own is not None:
            return self.own.forward(observations)
        features = [called(encoder, observations[key]) for key, encoder in self.encoders.items()]
        return features[0] if len(features) == 1 else torch.cat(features, dim=-1)


class Flat(nn.Module):
    """An array of numbers [..., *shape] -> [..., out_features] float32."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, self.out_features = shape, math.prod(shape)

    def forward(self, values: Tensor) -> Tensor:
        if len(self.shape) == 1:
            return to_float(values)
        leading = values.shape[: values.dim() - len(self.shape)]
        return to_float(values.reshape(*leading, self.out_features))


class OneHot(nn.Module):
    """Integers [..., *shape], the i-th in [starts[i], starts[i] + sizes[i]) -> their one-hot vectors side by side."""

    offsets: Tensor

    def __init__(self, sizes: np.ndarray, starts: np.ndarray) -> None:
        super().__init__()
        self.shape, self.out_features = sizes.shape, int(sizes.sum())
        # The column of each integer's first value, so that one scatter writes all of them.
        offsets = np.concatenate(([0], np.cumsum(sizes.ravel())[:-1])) - starts.ravel()
        self.register_buffer("offsets", torch.as_tensor(offsets, dtype=torch.int64), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        leading = values.shape[: values.dim() - len(self.shape)]
        columns = values.reshape(*leading, -1).long() + self.offsets
        return torch.zeros(*leading, self.out_features, device=values.device).scatter_(-1, columns, 1.0)


def _encoder(
    key: str, space: Space[object], config: NetworkConfig, generator: Generator
) -> CNN | ResidualCNN | Flat | OneHot:
    if is_image(space):
        return (ResidualCNN if config.cnn == "residual" else CNN)(space.shape, config, generator)  # type: ignore[arg-type]
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return Flat(space.shape)
    if isinstance(space, spaces.Discrete):
        return OneHot(np.array(space.n), np.array(space.start))
    if isinstance(space, spaces.MultiDiscrete):
        return OneHot(space.nvec, space.start)
    raise UserError(f"observation {key!r}: {space} has no encoder; it takes Box, Discrete, MultiDiscrete, MultiBinary")
