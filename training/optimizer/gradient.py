"""What an optimizer computes with: a loss, its gradient, and a batch split into parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from training.core import Batch
from training.errors import UserError
from training.metrics import Metrics, merge_metrics

Number: TypeAlias = float | Tensor
"""A tensor [] while it is on an accelerator."""


class Loss(NamedTuple):
    """A loss as a sum with its count: the objective is `sum / count`, over all micro-batches together.

    A loss that is to be accumulated gives each `Mean` among its metrics the weight of what it averages.
    """

    sum: Tensor  # []
    count: int | float | Tensor  # type: ignore[assignment]  # hides tuple.count
    metrics: Metrics


class Gradient(NamedTuple):
    """The gradient of an objective, one tensor for each trainable parameter, in the order of `Optimizer.trainable`."""

    values: list[Tensor]
    loss: Tensor  # [], the objective
    metrics: Metrics


def rows_of(batch: Batch) -> int:
    """How many samples a batch has."""
    return next(iter(batch.values())).shape[0]


def split_batch(batch: Batch, parts: int, setting: str) -> list[Batch]:
    """Splits every tensor's leading dimension, as evenly as can be; the larger parts come first.

    `setting` is where the number of parts comes from.
    """
    rows = {key: tensor.shape[0] if tensor.dim() else 0 for key, tensor in batch.items()}
    if len(set(rows.values())) != 1:
        raise UserError(f"{setting} = {parts}: a batch must have one leading size, not {rows}")
    size = next(iter(rows.values()))
    if size < parts:
        raise UserError(f"{setting} = {parts}: it takes at most the rows of a batch, here {size}")
    split = {key: tensor.tensor_split(parts) for key, tensor in batch.items()}
    return [{key: pieces[part] for key, pieces in split.items()} for part in range(parts)]


def split_for_learners(batch: Batch, parts: int) -> list[Batch]:
    """One part for each learner."""
    return split_batch(batch, parts, "learners")


def added(losses: Sequence[Loss]) -> Loss:
    """The losses of several micro-batches as one."""
    total = torch.stack([loss.sum for loss in losses]).sum()
    return Loss(total, sum(loss.count for loss in losses), merge_metrics([loss.metrics for loss in losses]))


def clip(values: list[Tensor], norm: Number, largest: float) -> None:
    """Scales the gradient in place, so that its norm, which is given, becomes at most the largest one."""
    if isinstance(norm, Tensor):
        torch._foreach_mul_(values, (largest / (norm + 1e-6)).clamp(max=1.0))
        return
    # To the bit what tensors give, for which a number divided by one is its reciprocal times the number.
    scale = np.float32(1.0) / (np.float32(norm) + np.float32(1e-6)) * np.float32(largest)
    if scale < 1:
        torch._foreach_mul_(values, float(scale))
