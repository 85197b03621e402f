"""Random changes to images and to sequences of tokens that keep their meaning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812

from training.core import Batch, moved
from training.errors import require


@dataclass(frozen=True)
class AugmentationConfig:
    """How much an image [H, W] or [H, W, C] is changed at most; each amount is drawn evenly, 0 changes nothing.

    The last of them is of sequences of tokens.
    """

    shift_pixels: float = 0.0
    rotate_degrees: float = 0.0
    scale: float = 0.0
    """As a fraction: 0.1 makes it 0.9 to 1.1 times as large."""
    shear: float = 0.0
    """Sideways, as a fraction of the height."""
    brightness: float = 0.0
    """As a fraction: 0.2 makes it 0.8 to 1.2 times as bright."""
    noise: float = 0.0
    """The standard deviation of what is added to each pixel, where white is 1."""
    erase: float = 0.0
    """The fraction of the image's sides that a black square takes, at a random place."""
    hide_tokens: float = 0.0
    """The chance of each token [L] to be replaced by token 0 (word dropout: Iyyer et al. 2015,
    https://aclanthology.org/P15-1162, section 3.2)."""

    def __post_init__(self) -> None:
        for name in ("shift_pixels", "rotate_degrees", "scale", "shear", "brightness", "noise", "erase", "hide_tokens"):
            value = getattr(self, name)
            below = 1.0 if name in ("scale", "brightness", "erase", "hide_tokens") else math.inf
            require(0.0 <= value < below, name, value, f"a number of at least 0, below {below:g}")

    @property
    def changes(self) -> bool:
        """Whether there is anything to do with images."""
        return replace(self, hide_tokens=0.0) != AugmentationConfig()


def augment(images: Tensor, config: AugmentationConfig, rng: Generator) -> Tensor:
    """Other images [B, H, W] or [B, H, W, C] for uint8 ones, of the same kind, each changed in its own way.

    All that is random is drawn on the CPU from `rng`. What comes from outside of an image is black.
    """
    if not config.changes:
        return images
    rows, device = len(images), images.device
    height, width = images.shape[1], images.shape[2]
    channels_first = (images if images.dim() == 4 else images.unsqueeze(-1)).movedim(-1, 1).float() / 255.0

    def drawn(most: float, *shape: int) -> Tensor:
        return moved(most * (2.0 * torch.rand(rows, *shape, generator=rng) - 1.0), device)

    angle, scale, shear = (
        drawn(math.radians(config.rotate_degrees)),
        1.0 / (1.0 + drawn(config.scale)),
        drawn(config.shear),
    )
    shift = drawn(config.shift_pixels, 2) * 2.0 / torch.tensor([width, height], device=device)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    # Where each pixel of the new image comes from: rotated and scaled, then sheared, then shifted.
    matrix = torch.stack([cos + shear * sin, shear * cos - sin, shift[:, 0], sin, cos, shift[:, 1]], 1).view(rows, 2, 3)
    grid = F.affine_grid(matrix, list(channels_first.shape), align_corners=False)
    changed = F.grid_sample(channels_first, grid, align_corners=False)
    changed = changed * (1.0 + drawn(config.brightness, 1, 1, 1))
    if config.noise:
        changed = changed + config.noise * moved(torch.randn(changed.shape, generator=rng), device)
    if config.erase:
        changed = changed * moved(_keeps(rows, height, width, config.erase, rng), device)
    bytes_ = (changed.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).movedim(1, -1)
    return bytes_ if images.dim() == 4 else bytes_.squeeze(-1)


def augment_inputs(batch: Batch, inputs: Mapping[str, Space[Any]], config: AugmentationConfig, rng: Generator) -> Batch:
    """The batch with those of its inputs changed that are images or sequences of tokens."""
    changed = dict(batch)
    for key, space in inputs.items():
        if space.dtype == np.uint8:
            changed[key] = augment(batch[key], config, rng)
        elif isinstance(space, spaces.MultiDiscrete) and config.hide_tokens:
            hidden = torch.rand(batch[key].shape, generator=rng) < config.hide_tokens
            changed[key] = batch[key].masked_fill(moved(hidden, batch[key].device), 0)
    return changed


def _keeps(rows: int, height: int, width: int, fraction: float, rng: Generator) -> Tensor:
    """[B, 1, H, W] 0 in a square of each image, 1 elsewhere."""
    top, left = (torch.rand(2, rows, 1, 1, 1, generator=rng) * (1.0 - fraction)).unbind()
    y, x = torch.arange(height).view(-1, 1) / height, torch.arange(width).view(1, -1) / width
    inside = (y >= top) & (y < top + fraction) & (x >= left) & (x < left + fraction)
    return (~inside).float()
