"""A dial that shows its position as a handwritten digit: an easy task for whoever can read the digits.

The digits are scikit-learn's (extra `data`), 8 x 8 pixels each; every step shows the position in another handwriting.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from training.errors import UserError
from training.extras import extra

PLACES = 10
STEP_COST = 0.1


class DigitDialEnv(gym.Env[NDArray[np.uint8], np.int64]):
    """DigitDial-v0: an image [8, 8]; turn the dial down, up, or stop, which ends the episode; 20 steps.

    The dial begins anywhere and does not turn beyond 0 and 9. Stopping gives 1 at `goal` and -1 elsewhere; every step
    costs 0.1.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own name and type
    observation_space = spaces.Box(0, 255, (8, 8), np.uint8)
    action_space = spaces.Discrete(3)

    def __init__(self, goal: int = 6) -> None:
        if not 0 <= goal < PLACES:
            raise UserError(f"goal = {goal}: it takes 0 to {PLACES - 1}")
        with extra("data"):
            from sklearn.datasets import load_digits
        digits = load_digits()
        images = (digits.images * 15).astype(np.uint8)
        self._handwritings = [images[digits.target == place] for place in range(PLACES)]
        self._goal, self._place = goal, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed)
        self._place = int(self.np_random.integers(PLACES))
        return self._observe(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        stops = int(action) == 2
        if not stops:
            self._place = min(max(self._place + (1 if action == 1 else -1), 0), PLACES - 1)
        right = self._place == self._goal
        reward = (1.0 if right else -1.0) * stops - STEP_COST
        return self._observe(), reward, stops, False, {"is_success": stops and right}

    def _observe(self) -> NDArray[np.uint8]:
        handwritings = self._handwritings[self._place]
        image: NDArray[np.uint8] = handwritings[int(self.np_random.integers(len(handwritings)))].copy()
        return image
