"""How a batch is divided into minibatches: in random order, or in the stream's order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.core import Batch, moved


def shuffled_minibatches(data: Batch, size: int, rng: torch.Generator) -> Sequence[Tensor]:
    """The rows [size] of each minibatch of one epoch over samples [B, ...], in random order."""
    some = next(iter(data.values()))
    rows: tuple[Tensor, ...] = moved(torch.randperm(len(some), generator=rng), some.device).split(size)
    return rows


def minibatches(data: Batch, size: int) -> list[Tensor | None]:
    """The rows of each minibatch of a batch, which has one or several one after another; None: all of them."""
    samples = len(data["reward"])
    if samples == size:
        return [None]
    return list(torch.arange(samples, device=data["reward"].device).split(size))
