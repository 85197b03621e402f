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
    sizes: Sequence[int]
    """How many samples each of the updates was on."""
    measured: Tensor
    """[updates, 2 + names] the loss, the norm of the gradient before clipping, and what the names say; of the one that
    was not made, too."""
    norms: Tensor
    """[parameters] of the last update's gradient."""
    names: Sequence[str]


Kernel: TypeAlias = Callable[[Moments], Made]
