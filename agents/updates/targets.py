"""Target networks: copies that follow the networks being trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from agents.updates.configs import DiscountedConfig
from training.errors import require
from training.networks.own import buffers_of_own

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class FollowingConfig(DiscountedConfig):
    """Of algorithms whose target networks follow the networks that learn."""

    tau: float = 0.005
    """How far a target moves each time, as a fraction of the way to the network that it follows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.tau <= 1, "tau", self.tau, "a number above 0, up to 1")


def frozen_copy(module: M) -> M:
    """A copy that is never trained."""
    return copy.deepcopy(module).requires_grad_(requires_grad=False)


@torch.no_grad()
def copy_weights(target: nn.Module, online: nn.Module) -> None:
    """Makes the target what `online` is now (Mnih et al. 2015, algorithm 1, its last line)."""
    torch._foreach_copy_(_tensors(target), _tensors(online))


def follower(target: nn.Module, online: nn.Module, tau: float) -> Callable[[], None]:
    """A function that moves the target by the fraction `tau` towards `online` (Lillicrap et al. 2016, algorithm 1).

    The parameters are looked up once, here, and must stay the same objects: for a small network, looking them up in
    every step would cost more than moving them. The statistics of batch normalization are taken over as they are.
    """
    moved: list[torch.Tensor] = list(target.parameters())
    towards: list[torch.Tensor] = list(online.parameters())
    statistics, taken_over = buffers_of_own(target), buffers_of_own(online)

    @torch.no_grad()
    def follow() -> None:
        torch._foreach_lerp_(moved, towards, tau)
        if statistics:
            torch._foreach_copy_(statistics, taken_over)

    return follow


def _tensors(module: nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]


class GradientSteps:
    """Counts gradient steps; saved as the number itself."""

    def __init__(self) -> None:
        self._count = 0

    def count(self, *, every: int) -> bool:
        """Counts one more; returns whether it is an `every`-th one."""
        self._count += 1
        return self._count % every == 0

    def state_dict(self) -> Any:
        return self._count

    def load_state_dict(self, state: Any) -> None:
        self._count = state
