"""Small wrappers that show one thing each."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.wrappers import TransformReward

Env = gym.Env[Any, Any]


class Drifting(gym.Wrapper[Any, Any, Any, Any]):
    """Adds to each reward how many steps it has seen in its life, or, where it forgets, in its episode."""

    def __init__(self, env: Env, by: float = 1.0, *, forgets: bool = False) -> None:
        super().__init__(env)
        self.by, self.forgets, self.steps = by, forgets, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.steps = 0 if self.forgets else self.steps
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, float(reward) + self.by * self.steps, terminated, truncated, info


def scaled(env: Env, by: float = 2.0) -> Env:
    """A function that wraps."""
    return TransformReward(env, lambda reward: by * float(reward))


def lost(env: Env) -> None:
    """A function that forgets to return the environment."""


class Demanding(gym.Wrapper[Any, Any, Any, Any]):
    """Fits no environment."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        raise ValueError("not this one\nnor that one")
