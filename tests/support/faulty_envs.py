"""CartPole with a mistake that people make: a reward or observations of an odd scale. Importing it registers it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.wrappers import TransformObservation, TransformReward


def odd_cart_pole(reward_times: float = 1.0, observation_times: float = 1.0) -> gym.Env[Any, Any]:
    """CartPole-v1 whose rewards and observations are so many times as large."""
    env: gym.Env[Any, Any] = gym.make("CartPole-v1", disable_env_checker=True)
    if reward_times != 1.0:
        env = TransformReward(env, lambda reward: float(reward) * reward_times)
    if observation_times != 1.0:
        env = TransformObservation(env, lambda seen: seen * observation_times, _larger(env, observation_times))
    return env


def _larger(env: gym.Env[Any, Any], times: float) -> gym.spaces.Box:
    space = env.observation_space
    assert isinstance(space, gym.spaces.Box)
    return gym.spaces.Box(space.low * times, space.high * times, dtype=space.dtype.type)


gym.register("OddCartPole-v0", odd_cart_pole, disable_env_checker=True)
