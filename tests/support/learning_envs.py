"""Small environments whose right answer is known, for the suites that every agent must pass."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class IdentityEnv(gym.Env[Any, Any]):
    """Reward 1 for the action that equals the observation (0 otherwise; continuous: minus the squared distance).

    Episodes last ten steps, so a perfect agent returns 10 (continuous: 0).
    """

    def __init__(self, kind: str = "discrete") -> None:
        choices: dict[str, tuple[gym.Space[Any], gym.Space[Any]]] = {
            "discrete": (spaces.Discrete(4), spaces.Discrete(4)),
            "multi_discrete": (spaces.MultiDiscrete([3, 2]), spaces.MultiDiscrete([3, 2])),
            "multi_binary": (spaces.MultiBinary(3), spaces.MultiBinary(3)),
            "box": (spaces.Box(-1, 1, (1,)), spaces.Box(-1, 1, (1,))),
            "dict": (
                spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Box(-1, 1, (2,))}),
                spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Discrete(2)}),
            ),
        }
        self.kind = kind
        self.observation_space, self.action_space = choices[kind]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._t = 0
        return self._draw(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = self._reward(action)
        self._t += 1
        return self._draw(), reward, self._t == 10, False, {}

    def _draw(self) -> Any:
        rng = self.np_random
        draws: dict[str, Any] = {
            "discrete": lambda: rng.integers(4),
            "multi_discrete": lambda: rng.integers([3, 2]),
            "multi_binary": lambda: rng.integers(2, size=3, dtype=np.int8),
            "box": lambda: rng.uniform(-1, 1, 1).astype(np.float32),
            "dict": lambda: {"a": rng.integers(3), "b": rng.uniform(-1, 1, 2).astype(np.float32)},
        }
        self._obs = draws[self.kind]()
        return self._obs

    def _reward(self, action: Any) -> float:
        if self.kind == "box":
            return -float(np.square(action - self._obs).sum())
        if self.kind == "dict":
            right = int(self._obs["b"][0] > 0)
            return 0.5 * float(action["a"] == self._obs["a"]) + 0.5 * float(action["b"] == right)
        return float(np.mean(np.asarray(action) == np.asarray(self._obs)))


class CountingEnv(gym.Env[Any, Any]):
    """Observes (env steps so far in the episode, number of the episode); every field is checkable by counting.

    The reward is the number of steps before the one it is given for. Episodes end after 3, 4, 5, 3, 4, 5 ... steps,
    every second one by truncation.
    """

    observation_space = spaces.Box(0, np.inf, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self._episode = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._episode += 1
        self._t = 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(self._t)
        self._t += 1
        ended = self._t == 3 + self._episode % 3
        cut = self._episode % 2 == 1
        return self._observe(), reward, ended and not cut, ended and cut, {}

    def _observe(self) -> Any:
        return np.array([self._t, self._episode], np.float32)


class RecallEnv(gym.Env[Any, Any]):
    """Shows a sign in the first observation only; four steps later an action pays 1 when it equals that sign.

    It also shows how many steps are left. Who does not remember gets 0.5 on average.
    """

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._left, self._sign = 4, int(self.np_random.integers(2))
        return np.array([2 * self._sign - 1, 1], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(self._left == 0 and action == self._sign)
        self._left -= 1
        return np.array([0, self._left / 4], np.float32), reward, self._left < 0, False, {}


class EndlessEnv(gym.Env[Any, Any]):
    """Reward 1 for ever; only the time limit of 100 steps cuts it. With gamma 0.99 every state is worth 100."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, *, continuous: bool = False) -> None:
        self.action_space = spaces.Box(-1, 1, (1,), np.float32) if continuous else spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.ones(1, np.float32), 1.0, False, False, {}


class ForbiddenEnv(gym.Env[Any, Any]):
    """Reward -1 for ever, and one of the two actions is never allowed; only a time limit of 2 steps cuts it."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._returned()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs, info = self._returned()
        return obs, -1.0, False, False, info

    def _returned(self) -> tuple[Any, dict[str, Any]]:
        return np.ones(1, np.float32), {"action_mask": np.array([1, 0], np.int8)}


class PictureEnv(gym.Env[Any, Any]):
    """Reward 1 for the side on which the picture is bright; it also observes a number and takes a useless action."""

    observation_space = spaces.Dict(
        {"picture": spaces.Box(0, 255, (8, 8, 1), np.uint8), "number": spaces.Box(-1, 1, (1,), np.float32)}
    )
    action_space = spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 4, (1,), np.float32)])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._t = 0
        return self._draw(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        reward = float(action[0] == self._side)
        self._t += 1
        return self._draw(), reward, self._t == 10, False, {}

    def _draw(self) -> Any:
        self._side = int(self.np_random.integers(2))
        picture = np.zeros((8, 8, 1), np.uint8)
        picture[:, 4 * self._side : 4 * self._side + 4] = 255
        return {"picture": picture, "number": self.np_random.uniform(-1, 1, 1).astype(np.float32)}


gym.register("Picture-v0", PictureEnv)
gym.register("Identity-v0", IdentityEnv)
gym.register("CountingEpisodes-v0", CountingEnv)
gym.register("Recall-v0", RecallEnv)
gym.register("Endless-v0", EndlessEnv, max_episode_steps=100)
gym.register("Forbidden-v0", ForbiddenEnv, max_episode_steps=2)


GOAL_PARTS = ("observation", "achieved_goal", "desired_goal")


class WalkEnv(gym.Env[Any, Any]):
    """A walk along a line that takes one step each time, ten an episode; nobody ever reaches the goal of -1."""

    observation_space = spaces.Dict({name: spaces.Box(-1, np.inf, (1,), np.float32) for name in GOAL_PARTS})
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self._at = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._at = 0.0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._at += 1.0
        return self._observe(), -1.0, False, False, {}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        return np.where(achieved_goal[..., 0] == desired_goal[..., 0], 0.0, -1.0)

    def _observe(self) -> Any:
        at = np.array([self._at], np.float32)
        return {"observation": at, "achieved_goal": at, "desired_goal": np.array([-1.0], np.float32)}


class TabularEnv(gym.Env[Any, Any]):
    """A Markov decision process of three states and two actions that is small enough to be solved exactly.

    `TRANSITIONS[s, a, s']` are probabilities; state 3 is terminal. `REWARDS[s, a]`.
    """

    TRANSITIONS = np.array(
        [
            [[0.7, 0.3, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0]],
            [[0.5, 0.0, 0.5, 0.0], [0.0, 0.4, 0.4, 0.2]],
            [[0.0, 1.0, 0.0, 0.0], [0.3, 0.0, 0.2, 0.5]],
        ]
    )
    REWARDS = np.array([[0.1, -0.1], [0.05, 0.2], [-0.2, 0.4]])  # small, as Huber's loss has the mean only near 0
    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(2)

    @classmethod
    def solve(cls, gamma: float) -> Any:
        """The values of the best actions [states, actions], by value iteration."""
        q = np.zeros((3, 2))
        for _ in range(500):
            value = np.append(q.max(1), 0.0)
            q = cls.REWARDS + gamma * cls.TRANSITIONS @ value
        return q

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._state = int(self.np_random.integers(3))
        return self._state, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(self.REWARDS[self._state, action])
        self._state = int(self.np_random.choice(4, p=self.TRANSITIONS[self._state, action]))
        ended = self._state == 3
        return 0 if ended else self._state, reward, ended, False, {}


class SeenEnv(gym.Env[Any, Any]):
    """A picture of a level of grey that an action is to match."""

    observation_space = spaces.Box(0, 255, (8, 8, 1), np.uint8)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._draw(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = -abs(float(action[0]) - self._level / 127.5 + 1)
        return self._draw(), reward, False, False, {}

    def _draw(self) -> Any:
        self._level = int(self.np_random.integers(256))
        return np.full((8, 8, 1), self._level, np.uint8)


gym.register("Seen-v0", SeenEnv, max_episode_steps=10)
gym.register("Tabular-v0", TabularEnv)
gym.register("Walk-v0", WalkEnv, max_episode_steps=10)
