"""Any Gymnasium space as named arrays: what the rest of the platform works on.

A plain space is one leaf named ""; Dict and Tuple spaces have one leaf for each part, named by its key or position,
nested names joined by a slash. Discrete values count from 0 in the arrays, whatever the space's `start`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from training.errors import UserError


class SpaceError(ValueError):
    """A value does not belong to its space."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """One named array of a space."""

    name: str
    path: tuple[Any, ...]
    """Keys and positions that lead to its value in a nested one."""
    space: gym.Space[Any]
    """Box, Discrete, MultiDiscrete or MultiBinary."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """Of the arrays: float64 becomes float32; Discrete and MultiDiscrete are int64, MultiBinary int8."""
    counts: NDArray[np.int64] | None
    """How many values each entry can take; None for a Box."""
    start: NDArray[np.int64] | int = 0
    """What the space calls the value 0."""

    # Every step of every environment comes through here: `count_nonzero` takes a third of the time of `any`.

    def part(self, value: Any) -> Any:
        """Its own part of a nested value; raises SpaceError where that has none."""
        for key in self.path:
            try:
                value = value[key]
            except (LookupError, TypeError) as error:
                raise SpaceError(f"it has no part {self.name!r}: {type(value).__name__}") from error
        return value

    def encode(self, value: Any, rows: tuple[int, ...] = ()) -> NDArray[Any]:
        """A value of the space as its array [*rows, *shape]; raises SpaceError when it does not belong there."""
        array = np.asarray(value)
        if array.shape != (*rows, *self.shape):
            raise SpaceError(f"{self._called}has shape {array.shape}; its space is {self.space}")
        if array.dtype != self.dtype and not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise SpaceError(f"{self._called}has dtype {array.dtype}; its space is {self.space}")
        if self.counts is not None:
            index = array - self.start
            if np.count_nonzero((index < 0) | (index >= self.counts)):
                raise SpaceError(f"{self._called}is {array.tolist()}, outside its space {self.space}")
            return np.asarray(index, self.dtype)
        given, array = array, array.astype(self.dtype, copy=False)
        if self.dtype.kind in "iu" and given is not array and np.count_nonzero(given != array):
            raise SpaceError(f"{self._called}holds {given[given != array][0]}, outside its space {self.space}")
        if self.dtype.kind == "f" and np.count_nonzero(np.isfinite(array)) < array.size:
            where = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
            raise SpaceError(f"{self._called}holds {array[where]} at {list(where)}")
        return array

    def decode(self, array: NDArray[Any]) -> Any:
        """An array [*shape] or [N, *shape] as a new value of the space."""
        value = (array if self.counts is None else array + self.start).astype(self.space.dtype)
        if isinstance(self.space, spaces.Box) and self.dtype != self.space.dtype:
            value = np.clip(value, self.space.low, self.space.high)  # in float32 a bound may round to outside
        return value[()] if isinstance(self.space, spaces.Discrete) else value

    def check(self, array: Any, num_envs: int, key: str) -> NDArray[Any]:
        """An agent's actions [N, *shape] in the leaf's dtype; raises ValueError where they do not fit the space."""
        array = np.asarray(array)
        if array.shape != (num_envs, *self.shape):
            raise ValueError(f"{key} has shape {array.shape}: it takes {(num_envs, *self.shape)}")
        if array.dtype != self.dtype and not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise ValueError(f"{key} has dtype {array.dtype}: it takes {self.dtype}")
        wrong = ~np.isfinite(array) if self.counts is None else (array < 0) | (array >= self.counts)
        if np.count_nonzero(wrong):
            row = int(np.argwhere(wrong)[0][0])
            raise ValueError(f"{key}[{row}] = {array[row].tolist()}: it takes finite values of {self.space}")
        checked: NDArray[Any] = array.astype(self.dtype)
        return checked

    @property
    def _called(self) -> str:
        return f"{self.name!r} " if self.name else ""


def row_bytes(space: gym.Space[Any]) -> int:
    """Of one value of the space as arrays."""
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves(space))


def from_zero(space: gym.Space[Any]) -> gym.Space[Any]:
    """A leaf as it is in arrays, where discrete values count from 0."""
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        return spaces.MultiDiscrete(space.nvec)
    return space


def leaves(space: gym.Space[Any]) -> tuple[Leaf, ...]:
    """The named arrays of a space; raises UserError for a space that has no fixed-size arrays."""
    found = tuple(_walk(space, ()))
    names = [leaf.name for leaf in found]
    if len(set(names)) < len(names):
        raise UserError(f"{space}: two of its parts get the same name among {names}; rename the key that has a slash")
    if dotted := [name for name in names if "." in name]:
        raise UserError(f"{space}: its part {dotted[0]!r} has a dot in its name, which no weight can have; rename it")
    return found


def _walk(space: gym.Space[Any], path: tuple[Any, ...]) -> Iterator[Leaf]:
    name = "/".join(str(key) for key in path)
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _walk(part, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for position, part in enumerate(space.spaces):
            yield from _walk(part, (*path, position))
    elif isinstance(space, spaces.Box):
        dtype = np.dtype(np.float32 if space.dtype == np.float64 else space.dtype)
        yield Leaf(name, path, space, space.shape, dtype, None)
    elif isinstance(space, spaces.Discrete):
        counts = np.asarray(space.n, np.int64)
        yield Leaf(name, path, space, (), np.dtype(np.int64), counts, int(space.start))
    elif isinstance(space, spaces.MultiDiscrete):
        counts, start = np.asarray(space.nvec, np.int64), np.asarray(space.start, np.int64)
        yield Leaf(name, path, space, space.shape, np.dtype(np.int64), counts, start)
    elif isinstance(space, spaces.MultiBinary):
        yield Leaf(name, path, space, space.shape, np.dtype(np.int8), np.full(space.shape, 2, np.int64))
    else:
        where = f" (part {name!r})" if name else ""
        raise UserError(
            f"{type(space).__name__} space{where}: it takes Box, Discrete, MultiDiscrete, MultiBinary, Dict or Tuple"
        )


def flatten(space_leaves: tuple[Leaf, ...], value: Any, rows: tuple[int, ...] = ()) -> dict[str, NDArray[Any]]:
    """A value of the space as named arrays; raises SpaceError naming the part that does not belong there.

    With rows = (N,), what Gymnasium's vector envs return for N environments, as arrays [N, ...].
    """
    return {leaf.name: leaf.encode(leaf.part(value), rows) for leaf in space_leaves}


def unflatten(space: gym.Space[Any], space_leaves: tuple[Leaf, ...], arrays: dict[str, NDArray[Any]]) -> Any:
    """The inverse of `flatten`, for one value or for N at once (arrays [N, ...], as Gymnasium's vector envs take)."""
    values = {leaf.path: leaf.decode(arrays[leaf.name]) for leaf in space_leaves}
    return _build(space, (), values)


def unflatten_rows(
    space: gym.Space[Any], space_leaves: tuple[Leaf, ...], arrays: dict[str, NDArray[Any]]
) -> Iterator[Any]:
    """The values of N environments one by one, from arrays [N, ...]; the leaves are decoded for all of them at once."""
    columns = {leaf.path: leaf.decode(arrays[leaf.name]) for leaf in space_leaves}
    for row in range(len(next(iter(columns.values())))):
        yield _build(space, (), {path: column[row] for path, column in columns.items()})


def _build(space: gym.Space[Any], path: tuple[Any, ...], values: dict[tuple[Any, ...], Any]) -> Any:
    if path in values:
        return values[path]
    if isinstance(space, spaces.Dict):
        return {key: _build(part, (*path, key), values) for key, part in space.spaces.items()}
    assert isinstance(space, spaces.Tuple)
    return tuple(_build(part, (*path, position), values) for position, part in enumerate(space.spaces))
