"""Continuous mountain car as batched dynamics (envs/vectors/batched.py), bit for bit MountainCarContinuous-v0.

Gymnasium computes in float32, but for the first step of an episode, whose position is still a float64 number. A sum of
float32 numbers is their sum in float64, rounded, so the state is kept in float64 here and rounded where it must be.

Source: Moore (1990), and gymnasium/envs/classic_control/continuous_mountain_car.py (1.2).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.tasks.classic_control import functions
from envs.vectors.batched import Dynamics, Float

POWER, GRAVITY, FORCE_LIMIT = 0.0015, 0.0025, 1.0
LEFT, RIGHT, GOAL, SPEED_LIMIT = np.float32(-1.2), np.float32(0.6), np.float32(0.45), np.float32(0.07)


def initial_state(generator: np.random.Generator) -> Float:
    """State [3]: position, speed, and 0 at the first observation of an episode, 1 afterwards: they are float32 then."""
    return np.array([generator.uniform(-0.6, -0.4), 0.0, 0.0])


def transition(state: Float, action: NDArray[Any]) -> tuple[Float, Float, NDArray[np.bool_]]:
    """One step; it costs a tenth of the squared force. The goal is worth 100 and ends the episode."""
    position, speed, single = state

    def rounded(value: Float) -> Float:
        return np.where(single, value.astype(np.float32), value)

    force = action[:, 0]
    limited = np.clip(force, -FORCE_LIMIT, FORCE_LIMIT)
    slope = GRAVITY * np.cos(rounded(3 * position))
    # A float32 force makes the whole push float32; where it was limited, it has become a Python number.
    single_push = limited * POWER - slope.astype(np.float32)
    push = np.where(limited == force, single_push, limited.astype(np.float64) * POWER - slope)
    speed = np.clip(rounded(speed + rounded(push)), -SPEED_LIMIT, SPEED_LIMIT)
    position = np.clip((position + speed).astype(np.float32), LEFT, RIGHT)
    speed[(position == LEFT) & (speed < 0)] = 0.0
    terminated = (position >= GOAL) & (speed >= 0)
    reward = np.where(terminated, 100.0, 0.0) - np.square(force, dtype=np.float64) * 0.1
    return np.array((position, speed.astype(np.float32), np.ones_like(speed))), reward, terminated


def observe(state: Float) -> NDArray[np.float32]:
    """Position and speed [N, 2]."""
    return state[:2].T.astype(np.float32, order="C")


MOUNTAIN_CAR_CONTINUOUS = Dynamics(
    observation_space=spaces.Box(np.array([LEFT, -SPEED_LIMIT]), np.array([RIGHT, SPEED_LIMIT]), dtype=np.float32),
    action_space=spaces.Box(-FORCE_LIMIT, FORCE_LIMIT, (1,), np.float32),
    initial_state=initial_state,
    transition=transition,
    observe=observe,
    compiled=partial(functions, "mountain_car_continuous"),
)
