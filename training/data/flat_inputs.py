"""The inputs of a sample as one flat row of numbers, for clustering, projection or reconstruction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor

from training.core import Batch
from training.errors import UserError
from training.networks.convolutions import to_float


def flat_size(inputs: Mapping[str, Space[Any]]) -> int:
    """How many numbers there are. Raises UserError for an input that is not of numbers or pixels."""
    for key, space in inputs.items():
        if not isinstance(space, spaces.Box):
            raise UserError(f"{key} is {space}: it takes numbers or images")
    return int(sum(np.prod(space.shape or ()) for space in inputs.values()))


def flat(batch: Batch, inputs: Iterable[str]) -> Tensor:
    """[B, numbers] float32; pixels are scaled to [0, 1]."""
    return torch.cat([to_float(batch[key]).flatten(1) for key in inputs], 1)


def explained(original: Tensor, reconstruction: Tensor) -> float:
    """The part of the variance of `original` [S, F] that its reconstruction explains (R squared of all columns)."""
    original, reconstruction = original.double(), reconstruction.double()
    total = (original - original.mean(0)).square().sum()
    return float(1.0 - (original - reconstruction).square().sum() / total)
