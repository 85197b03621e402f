"""Rescales, clips and checks the actions of all environments at once, which a wrapper around each could not do.

`ToBounds` belongs to the policy, so that a saved policy carries its action range; every VectorEnv checks what arrives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.masks import are_allowed, mask_parts
from envs.spaces import Leaf
from envs.vectors.vector import Arrays, named


class ToBounds:
    """Turns an agent's actions [..., *shape] into those of a float Box: rescales them from [-1, 1], then clips them.

    Entries without bounds on both sides are not rescaled, only clipped; `rescale=False` treats all of them so.
    """

    def __init__(self, box: spaces.Box, *, rescale: bool) -> None:
        self._low, self._high = box.low, box.high
        bounded = np.isfinite(box.low) & np.isfinite(box.high) & rescale
        low, high = np.where(bounded, box.low, -1), np.where(bounded, box.high, 1)
        self._scale = ((high - low) / 2).astype(box.dtype)
        self._middle = ((high + low) / 2).astype(box.dtype)

    def __call__(self, action: NDArray[Any]) -> NDArray[Any]:
        # Clipped after rescaling, so that rounding cannot push an action over the bounds either.
        inside: NDArray[Any] = np.clip(action * self._scale + self._middle, self._low, self._high)
        return inside

    def as_arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """low, high, factor and middle: an action is action * factor + middle, between low and high."""
        return self._low, self._high, self._scale, self._middle

    def inverse(self, action: NDArray[Any]) -> NDArray[np.float32]:
        """The agent's actions that give those of the environment; 0 for an entry that can have one value only."""
        scale = np.where(self._scale > 0, self._scale, 1)
        agents: NDArray[np.float32] = ((action - self._middle) / scale).astype(np.float32)
        return agents


def check_actions(
    action_leaves: tuple[Leaf, ...], action: Arrays, num_envs: int, mask: NDArray[np.bool_] | None
) -> Arrays:
    """A copy of the agent's actions in the dtypes of the space; raises ValueError where one does not fit."""
    keys = [named("action", leaf.name) for leaf in action_leaves]
    if set(action) != set(keys):
        raise ValueError(f"the actions are {sorted(action)}: the action space takes {keys}")
    checked = {key: leaf.check(action[key], num_envs, key) for key, leaf in zip(keys, action_leaves, strict=True)}
    if mask is not None:
        allowed = are_allowed(mask_parts(action_leaves[0].space), mask, checked["action"])
        if not allowed.all():
            row = int(np.argmin(allowed))
            raise ValueError(f"action[{row}] = {checked['action'][row].tolist()}: the action mask forbids it")
    return checked
