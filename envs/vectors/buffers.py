"""The memory through which a vector environment and its environments exchange data: plain arrays or shared memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from envs.masks import mask_parts
from envs.spaces import Leaf, leaves, unflatten_rows
from envs.vectors.final_info import MAX_NAME, MAX_NUMBERS
from envs.vectors.vector import Arrays, named

ALIGNMENT = 64
"""Bytes; a cache line."""


@dataclass(frozen=True)
class Layout:
    """The spaces of one environment, and how many of it there are."""

    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]
    num_envs: int

    @property
    def masked_actions(self) -> int:
        """How many entries a mask has; 0 where the action space takes none."""
        return sum(mask_parts(self.action_space))


class Buffers:
    """The arrays of N environments; row n belongs to environment n.

    The vector env writes `action`, the environment of a row writes all others. With `memory`, they are views of it.
    """

    def __init__(self, layout: Layout, memory: Any = None) -> None:
        self.layout = layout
        self.obs_leaves = leaves(layout.observation_space)
        self.action_leaves = leaves(layout.action_space)
        take = _Allocator(memory, layout.num_envs)
        self.obs = _leaf_arrays(self.obs_leaves, "obs", take)
        self.final_obs = _leaf_arrays(self.obs_leaves, "obs", take)
        self.action = _leaf_arrays(self.action_leaves, "action", take)
        self.action_mask = take((layout.masked_actions,), np.dtype(np.bool_))
        self.final_action_mask = take((layout.masked_actions,), np.dtype(np.bool_))
        self.has_mask = take((), np.dtype(np.bool_))
        self.reward = take((), np.dtype(np.float64))
        self.terminated = take((), np.dtype(np.bool_))
        self.truncated = take((), np.dtype(np.bool_))
        self.info_count = take((), np.dtype(np.int64))
        """How many numbers the environment told of its newest finished episode."""
        self.info_names = take((MAX_NUMBERS,), np.dtype(f"U{MAX_NAME}"))
        self.info_values = take((MAX_NUMBERS,), np.dtype(np.float64))
        self.episode = take((), np.dtype(np.int64))
        self.episode_steps = take((), np.dtype(np.int64))
        self.busy = take((), np.dtype(np.bool_))
        """The environment is inside its own reset or step; where a process hangs or dies, this names the culprit."""
        self.calls = take((), np.dtype(np.int64))
        """How many resets and steps have returned: a process whose sum stands still is hanging."""
        self.nbytes = take.used
        self.episode[:] = self.episode_steps[:] = -1

    def env_actions(self, actions: Arrays) -> Iterator[Any]:
        """What an environment takes for each of the actions [N, ...]."""
        arrays = {leaf.name: actions[named("action", leaf.name)] for leaf in self.action_leaves}
        return unflatten_rows(self.layout.action_space, self.action_leaves, arrays)


def _leaf_arrays(space_leaves: tuple[Leaf, ...], prefix: str, take: _Allocator) -> Arrays:
    return {named(prefix, leaf.name): take(leaf.shape, leaf.dtype) for leaf in space_leaves}


class _Allocator:
    """Hands out zeroed arrays [N, *shape], one after the other out of `memory` where there is one."""

    def __init__(self, memory: Any, num_envs: int) -> None:
        self.memory = memory
        self.num_envs = num_envs
        self.used = 0

    def __call__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        shape = (self.num_envs, *shape)
        count = int(np.prod(shape))
        start = self.used
        self.used += -(-count * dtype.itemsize // ALIGNMENT) * ALIGNMENT
        if self.memory is None:
            return np.zeros(shape, dtype)
        return np.frombuffer(self.memory, dtype, count, start).reshape(shape)


def shared_buffers(layout: Layout, allocate: Callable[[int], Any]) -> tuple[Buffers, Any]:
    """Buffers in the memory that `allocate(bytes)` gives, and that memory."""
    memory = allocate(max(Buffers(layout).nbytes, 1))
    return Buffers(layout, memory), memory
