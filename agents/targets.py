"""Target networks: copies that follow the networks that learn."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def frozen_copy(module: M) -> M:
    """A copy that is never trained."""
    return copy.deepcopy(module).requires_grad_(requires_grad=False)


@torch.no_grad()
def copy_weights(target: nn.Module, online: nn.Module) -> None:
    """Makes the target what `online` is now (Mnih et al. 2015, algorithm 1, its last line)."""
    torch._foreach_copy_(_tensors(target), _tensors(online))


@torch.no_grad()
def follow(target: nn.Module, online: nn.Module, tau: float) -> None:
    """Moves the target by the fraction `tau` towards `online` (Lillicrap et al. 2016, algorithm 1)."""
    torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), tau)


def _tensors(module: nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]
