"""A robot arm that has to reach points in space: a task with goals and a sparse reward.

Goals follow the convention of Gymnasium-Robotics: observations are dicts of `observation`, `achieved_goal` and
`desired_goal`, and `compute_reward` gives the reward for any pair of goals, so that hindsight can exchange them.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from training.errors import require

LINKS_M = np.array([0.5, 0.5])
LOW_RAD, HIGH_RAD = np.array([-np.pi / 2, -np.pi / 2, 0.0]), np.array([np.pi / 2, np.pi / 2, 2.5])
"""Of the base, which turns the arm around, and of shoulder and elbow, in one vertical plane."""
SPEED_RAD_PER_STEP = 0.2
REACHED_M = 0.05


class ReachEnv(gym.Env[dict[str, NDArray[np.float32]], NDArray[np.float32]]):
    """Reach-v0: the speeds of three joints, in [-1, 1], a goal anywhere in reach, 50 steps.

    The reward of a step is 0 where the fingertip is within 5 cm of the goal, otherwise -1; no episode ends early.

    Args:
        goal_range: what part of the joints' ranges goals take, around the start; 1: they are anywhere in reach.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own name and type
    action_space = spaces.Box(-1.0, 1.0, (3,), np.float32)
    observation_space = spaces.Dict(
        {
            "observation": spaces.Box(-1.0, 1.0, (6,), np.float32),
            "achieved_goal": spaces.Box(-1.0, 1.0, (3,), np.float32),
            "desired_goal": spaces.Box(-1.0, 1.0, (3,), np.float32),
        }
    )

    def __init__(self, goal_range: float = 1.0) -> None:
        require(0 < goal_range <= 1, "goal_range", goal_range, "a number above 0, up to 1")
        self._low, self._high = goal_range * LOW_RAD, goal_range * HIGH_RAD

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
        super().reset(seed=seed)
        self._joints = self.np_random.uniform([-0.1, -0.1, 0.0], 0.1)
        self._goal = fingertip(self.np_random.uniform(self._low, self._high)).astype(np.float32)
        return self._observe(), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[np.float32]], float, bool, bool, dict[str, Any]]:
        moved = self._joints + SPEED_RAD_PER_STEP * np.clip(action, -1.0, 1.0)
        self._joints = np.clip(moved, LOW_RAD, HIGH_RAD)
        obs = self._observe()
        reward = float(self.compute_reward(obs["achieved_goal"], obs["desired_goal"], {}))
        return obs, reward, False, False, {"is_success": reward == 0.0}

    def compute_reward(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Any) -> NDArray[Any]:
        """The reward [...] of having reached one place [..., 3] when another one was the goal."""
        distance_m = np.linalg.norm(achieved_goal - desired_goal, axis=-1)
        return np.where(distance_m < REACHED_M, 0.0, -1.0)

    def _observe(self) -> dict[str, NDArray[np.float32]]:
        joints = np.concatenate([np.sin(self._joints), np.cos(self._joints)]).astype(np.float32)
        at = fingertip(self._joints).astype(np.float32)
        return {"observation": joints, "achieved_goal": at, "desired_goal": self._goal}


def fingertip(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the arm ends, (x, y, z) in m, by its joints [3] in rad."""
    along = np.cumsum(joints[1:])
    radius, height = LINKS_M @ np.cos(along), LINKS_M @ np.sin(along)
    return np.array([radius * np.cos(joints[0]), radius * np.sin(joints[0]), height])
