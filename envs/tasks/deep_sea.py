"""Deep sea: a treasure that only one of 2^N ways leads to, and that every step towards it costs a little.

Osband et al. 2020, https://arxiv.org/abs/1908.03568, "Behaviour Suite for Reinforcement Learning", appendix A.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

MOVE_COST = 0.01
"""Of going right in every row, together."""


class DeepSeaEnv(gym.Env[NDArray[np.float32], int]):
    """DeepSea-v0: a diver sinks by one row a step, to the left or to the right, from the top left of an N x N grid.

    Observations are the cell that the diver is in, one of N x N as zeros and a one (`[N * N] float32`). Which of the
    two actions goes right is drawn for each cell by `mapping`, and is the same in all episodes. An episode has N steps.
    Going right costs 0.01 / N, and the treasure in the corner at the bottom right is worth 1: the best return is 0.99,
    that of always going left 0.

    Args:
        size: N.
        mapping: the seed of what the actions mean.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own name and type

    def __init__(self, size: int = 10, mapping: int = 0) -> None:
        if size < 2:
            raise ValueError(f"size = {size}: it takes at least 2")
        self.size = size
        self.goes_right = np.random.default_rng(mapping).integers(2, size=(size, size))
        """[N, N]: the action that goes right in each cell."""
        self.observation_space = spaces.Box(0.0, 1.0, (size * size,), np.float32)
        self.action_space = spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self._row = self._column = 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        right = int(action) == self.goes_right[self._row, self._column]
        at_edge = self._column == self.size - 1
        reward = -MOVE_COST / self.size if right else 0.0
        found = self._row == self.size - 1 and at_edge and right
        self._column = min(max(self._column + (1 if right else -1), 0), self.size - 1)
        self._row += 1
        return self._observe(), reward + found, self._row == self.size, False, {"is_success": bool(found)}

    def _observe(self) -> NDArray[np.float32]:
        """Below the last row there is nothing to see."""
        obs = np.zeros((self.size, self.size), np.float32)
        if self._row < self.size:
            obs[self._row, self._column] = 1.0
        return obs.ravel()
