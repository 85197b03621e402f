"""Target networks: copies that follow the networks that learn."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Protocol, TypeVar

import torch
from torch import nn

from training.errors import require

M = TypeVar("M", bound=nn.Module)


class FollowingConfig(Protocol):
    """What every algorithm's config says whose target follows what learns."""

    @property
    def gamma(self) -> float: ...

    @property
    def tau(self) -> float: ...


def check_following(config: FollowingConfig) -> None:
    """The checks of that."""
    require(0 <= config.gamma <= 1, "gamma", config.gamma, "a number from 0 to 1")
    require(0 < config.tau <= 1, "tau", config.tau, "a number above 0, up to 1")


def frozen_copy(module: M) -> M:
    """A copy that is never trained."""
    return copy.deepcopy(module).requires_grad_(requires_grad=False)


@torch.no_grad()
def copy_weights(target: nn.Module, online: nn.Module) -> None:
    """Makes the target what `online` is now (Mnih et al. 2015, algorithm 1, its last line)."""
    torch._foreach_copy_(_tensors(target), _tensors(online))


def follower(target: nn.Module, online: nn.Module, tau: float) -> Callable[[], None]:
    """A function that moves the target by the fraction `tau` towards `online` (Lillicrap et al. 2016, algorithm 1).

    The parameters are looked up once, here, and must stay the same objects: in every step of a small network that would
    cost more than moving them.
    """
    moved: list[torch.Tensor] = list(target.parameters())
    towards: list[torch.Tensor] = list(online.parameters())

    @torch.no_grad()
    def follow() -> None:
        torch._foreach_lerp_(moved, towards, tau)

    return follow


def _tensors(module: nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]
