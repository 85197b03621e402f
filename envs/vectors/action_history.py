"""The actions since the longest running episode began, by which running episodes are restored: compact, saved once.

An environment that nothing ends keeps all of them, so they are kept as they are, 4 bytes for an action of one float32.
Blocks that are full never change again: a checkpoint links their files instead of writing them anew, so that saving
takes as long after ten million steps as after ten thousand.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.vectors.vector import Arrays
from training.state import Segment, State

BLOCK_ENV_STEPS = 65_536
"""Of the blocks that are saved as files of their own."""
FIRST_STEPS = 64
"""Room at first: most episodes are short."""


class ActionHistory:
    """The newest actions of N environments.

    Args:
        like: arrays [N, ...] of the actions' shapes and types.
    """

    def __init__(self, like: Arrays) -> None:
        (self._num_envs,) = {len(array) for array in like.values()}
        self._like = like
        self.clear()

    def __len__(self) -> int:
        return self._steps_in_blocks + self._end - self._begin

    @property
    def nbytes(self) -> int:
        """Of memory, with the room for the next actions."""
        arrays = [*self._open.values(), *(array for block in self._blocks for array in block.arrays.values())]
        return sum(array.nbytes for array in arrays)

    def clear(self) -> None:
        """Forgets all."""
        self._blocks: deque[Segment] = deque()
        self._steps_in_blocks = 0
        self._open = self._room(FIRST_STEPS)
        self._begin = self._end = 0

    def append(self, action: Arrays) -> None:
        """Takes the actions [N, ...] of one step."""
        if self._end == self._capacity:
            self._make_room()
        for key, array in action.items():
            self._open[key][self._end] = array
        self._end += 1

    def keep(self, steps: int) -> None:
        """Forgets what is older than the newest `steps`; whole blocks only."""
        while self._blocks and len(self) - _length(self._blocks[0].arrays) >= steps:
            self._steps_in_blocks -= _length(self._blocks.popleft().arrays)
        if not self._blocks:
            self._begin = max(self._begin, self._end - steps)

    def actions(self) -> Arrays:
        """All that is kept, [L, N, ...]; a copy."""
        parts = [*(block.arrays for block in self._blocks), self._newest()]
        return {key: np.concatenate([part[key] for part in parts]) for key in self._like}

    def state_dict(self) -> State:
        return {"blocks": list(self._blocks), "actions": {key: array.copy() for key, array in self._newest().items()}}

    def load_state_dict(self, state: State) -> None:
        self._blocks = deque(state.get("blocks", []))  # runs of versions before had none
        self._steps_in_blocks = sum(_length(block.arrays) for block in self._blocks)
        self._begin, self._end = 0, _length(state["actions"])
        self._open = self._room(max(FIRST_STEPS, self._end))
        for key, array in state["actions"].items():
            self._open[key][: self._end] = array

    @property
    def _capacity(self) -> int:
        return _length(self._open)

    def _newest(self) -> Arrays:
        return {key: array[self._begin : self._end] for key, array in self._open.items()}

    def _make_room(self) -> None:
        """Room for one more step at least: what is no longer needed goes first, then it grows, or becomes a block."""
        newest, steps = self._newest(), self._end - self._begin
        block_steps = max(2, BLOCK_ENV_STEPS // self._num_envs)
        if steps >= block_steps // 2:  # not only when it is full: little by little, that would copy it again and again
            self._blocks.append(_block(newest))
            self._steps_in_blocks += steps
            self._open, self._begin, self._end = self._room(block_steps), 0, 0
            return
        room = self._room(max(FIRST_STEPS, min(2 * steps, block_steps)))
        for key, array in newest.items():
            room[key][:steps] = array
        self._open, self._begin, self._end = room, 0, steps

    def _room(self, steps: int) -> Arrays:
        return {key: np.empty((steps, *array.shape), array.dtype) for key, array in self._like.items()}


def _block(actions: Arrays) -> Segment:
    """Its name is the hash of what is in it: so one name never stands for two blocks."""
    digest = hashlib.sha256()
    arrays: dict[str, NDArray[Any]] = {}
    for key, array in actions.items():
        arrays[key] = np.ascontiguousarray(array)
        digest.update(repr((key, array.dtype.str, array.shape)).encode())
        digest.update(arrays[key].data)
    return Segment(f"actions-{digest.hexdigest()[:32]}", arrays)


def _length(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))
