"""Action masks: which of an environment's actions are allowed on an observation.

An environment reports one as `info["action_mask"]`: for Discrete(n) an array [n] of zeros and ones, for MultiDiscrete
the arrays of its numbers one after another [sum(nvec)], as sb3-contrib's MaskablePPO takes them, or a tuple of one for
each, as Gymnasium's `MultiDiscrete.sample` does. In the platform it is always one array of booleans, [A]. Spaces of
other kinds have none.

What is allowed on the last observation of an episode matters too, where that was cut: its value is that of what could
have been done next. Where the environment reports no mask with it, or one that allows nothing, all actions count as
allowed. Datasets hold no masks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.spaces import SpaceError


def mask_parts(space: gym.Space[Any]) -> tuple[int, ...]:
    """How many values each number of an action can take, in the order of a mask; () for a space that takes no mask."""
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(int(count) for count in space.nvec.ravel())
    return ()


def mask_array(space: gym.Space[Any], mask: Any) -> NDArray[np.bool_]:
    """A mask as an environment reports it, as an array [A]; raises SpaceError where it does not fit the space."""
    parts = mask_parts(space)
    arrays = _innermost(mask)
    lengths = tuple(array.size for array in arrays)
    if not parts or lengths not in (parts, (sum(parts),)):
        raise SpaceError(f"its info['action_mask'] has {_told(lengths)} entries; {space} takes {_told(parts)}")
    array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    if array.dtype != np.bool_ and np.count_nonzero((array != 0) & (array != 1)):
        raise SpaceError(f"its info['action_mask'] is {array.tolist()}: it takes 0 and 1")
    return array.astype(np.bool_)


def allows_something(parts: tuple[int, ...], mask: NDArray[np.bool_]) -> bool:
    """Whether a mask [A] allows at least one value of each number."""
    if len(parts) == 1:
        return bool(np.count_nonzero(mask))
    return bool(np.logical_or.reduceat(mask, _begins(parts)).all())


def are_allowed(parts: tuple[int, ...], mask: NDArray[np.bool_], action: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the actions [N, ...], counted from 0, the masks [N, A] allow, [N]."""
    columns = action.reshape(len(action), -1) + _begins(parts)
    return np.asarray(np.take_along_axis(mask, columns, 1).all(1))


def draw_allowed(parts: tuple[int, ...], mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """A value of each number of an action, counted from 0, that a mask [A] allows."""
    allowed = np.split(mask, _begins(parts)[1:])
    return np.array([rng.choice(np.flatnonzero(values)) for values in allowed], np.int64)


@cache
def _begins(parts: tuple[int, ...]) -> NDArray[np.int64]:
    return np.cumsum((0, *parts[:-1]))


def _innermost(mask: Any) -> list[NDArray[Any]]:
    """The arrays [n] of a nest of tuples, or the rows of an array."""
    if isinstance(mask, np.ndarray):
        nested = mask.ndim > 1
    else:
        nested = isinstance(mask, tuple | list) and any(isinstance(part, tuple | list | np.ndarray) for part in mask)
    return [array for part in mask for array in _innermost(part)] if nested else [np.atleast_1d(np.asarray(mask))]


def _told(lengths: tuple[int, ...]) -> str:
    return " + ".join(map(str, lengths))
