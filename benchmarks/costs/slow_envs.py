"""Environments that take their time, to measure how workers share it. Importing this module registers them."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

STEP_S = 0.002


class Slow(gym.Env[Any, Any]):
    """Episodes of 100 steps in which nothing happens; each step takes `seconds`, asleep or busy."""

    observation_space = spaces.Box(-1, 1, (8,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, busy: bool, seconds: float = STEP_S) -> None:
        self._busy, self._seconds = busy, seconds

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._t = 0
        return np.zeros(8, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self._busy:
            until = time.perf_counter() + self._seconds
            while time.perf_counter() < until:
                pass
        elif self._seconds:
            time.sleep(self._seconds)
        self._t += 1
        return np.zeros(8, np.float32), 1.0, False, self._t == 100, {}


gym.register("Sleeping-v0", "benchmarks.costs.slow_envs:Slow", kwargs={"busy": False})
gym.register("Busy-v0", "benchmarks.costs.slow_envs:Slow", kwargs={"busy": True})
