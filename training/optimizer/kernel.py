"""What an optimizer and a kernel that makes whole updates by itself tell each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from torch import Tensor


class Moments(NamedTuple):
    """What Adam goes on with; the tensors are changed in place."""

    means: list[Tensor]
    """Of the gradients, one for each parameter in the kernel's order."""
    squares: list[Tensor]
    steps: int
    """How many were made before."""
    learning_rate: float
    betas: tuple[float, float]
    eps: float
    max_grad_norm: float | None


class Made(NamedTuple):
    """What a kernel did."""

    updates: int
    """How many; after them comes one that was not made, where a loss or a gradient is not finite."""
    measured: list[list[float]]
    """Of each update, that one included: the loss, the norm of the gradient before clipping, and what `names` say."""
    norms: list[float]
    """Of the last update's gradient of each parameter."""
    names: Sequence[str]
    sizes: Sequence[int]
    """How many samples each update was on."""


Kernel: TypeAlias = Callable[[Moments], Made]
