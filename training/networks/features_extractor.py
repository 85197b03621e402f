"""What Stable-Baselines3 gives a features extractor: its space and its observations, prepared as there.

Those of `stable_baselines3.common.preprocessing.preprocess_obs` and `VecTransposeImage` of release 2.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from training.networks.convolutions import to_float


def extractor_space(of: Mapping[str, Space[Any]]) -> Space[Any]:
    """The one space, or a Dict of the parts under their own names; images with channels first."""
    parts = {_name(key): _channels_first(space) for key, space in of.items()}
    return next(iter(parts.values())) if _is_one(of) else spaces.Dict(parts)


def extractor_input(rows: Mapping[str, Tensor], of: Mapping[str, Space[Any]]) -> Tensor | dict[str, Tensor]:
    """Of observations {key: [B, *shape]}: floats, images in [0, 1] with channels first, discrete values one-hot."""
    parts = {_name(key): _prepared(rows[key], space) for key, space in of.items()}
    return next(iter(parts.values())) if _is_one(of) else parts


def _is_one(of: Mapping[str, Space[Any]]) -> bool:
    return len(of) == 1 and "/" not in next(iter(of))


def _name(key: str) -> str:
    return key.partition("/")[2] or key


def _has_channels_last(space: Space[Any]) -> bool:
    if not (isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3):
        return False
    return int(np.argmin(space.shape)) == 2


def _channels_first(space: Space[Any]) -> Space[Any]:
    if not _has_channels_last(space):
        return space
    assert isinstance(space, spaces.Box)
    return spaces.Box(space.low.transpose(2, 0, 1), space.high.transpose(2, 0, 1), dtype=np.uint8)


def _prepared(values: Tensor, space: Space[Any]) -> Tensor:
    if isinstance(space, spaces.Discrete):
        return F.one_hot(values - int(space.start), int(space.n)).float()
    if isinstance(space, spaces.MultiDiscrete):
        numbers = (values - torch.as_tensor(space.start, device=values.device)).flatten(1).unbind(1)
        counts = space.nvec.ravel().tolist()
        return torch.cat([F.one_hot(number, count) for number, count in zip(numbers, counts, strict=True)], 1).float()
    if isinstance(space, spaces.MultiBinary):
        return values.float()
    image = len(space.shape or ()) == 3
    floats = to_float(values) if image else values.float()
    return floats.movedim(-1, -3) if _has_channels_last(space) else floats
