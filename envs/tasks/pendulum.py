"""Pendulum as batched dynamics (envs/vectors/batched.py), bit for bit Gymnasium's Pendulum-v1.

The operations and their order are Gymnasium's, so that they round alike.

Source: gymnasium/envs/classic_control/pendulum.py (1.2).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.tasks.classic_control import functions
from envs.vectors.batched import Dynamics, Float

GRAVITY, MASS, LENGTH, STEP_S = 10.0, 1.0, 1.0, 0.05
SPEED_LIMIT, TORQUE_LIMIT = 8.0, 2.0


def initial_state(generator: np.random.Generator) -> Float:
    """State [2]: angle (rad, 0 is upright) and angular speed."""
    return np.array([generator.uniform(-np.pi, np.pi), generator.uniform(-1.0, 1.0)])


def transition(state: Float, action: NDArray[Any]) -> tuple[Float, Float, NDArray[np.bool_]]:
    """One Euler step of 0.05 s; the reward is minus the squares of angle, speed and torque, weighted."""
    angle, speed = state
    torque = np.clip(action[:, 0], -TORQUE_LIMIT, TORQUE_LIMIT)
    normal = (angle + np.pi) % (2 * np.pi) - np.pi
    # Gymnasium squares scalars, which is the pow of C and rounds otherwise than x * x, once in a thousand. For
    # arrays of float64 float_power is that pow; for float32 there is none.
    torque_squared = np.array([value**2 for value in torque])
    cost = np.float_power(normal, 2) + 0.1 * np.float_power(speed, 2) + 0.001 * torque_squared
    acceleration = 3 * GRAVITY / (2 * LENGTH) * np.sin(angle) + 3.0 / (MASS * LENGTH**2) * torque
    speed = np.clip(speed + acceleration * STEP_S, -SPEED_LIMIT, SPEED_LIMIT)
    return np.array((angle + speed * STEP_S, speed)), -cost, np.zeros(len(cost), np.bool_)


def observe(state: Float) -> NDArray[np.float32]:
    """Cosine and sine of the angle, and the angular speed [N, 3]."""
    angle, speed = state
    obs = np.empty((len(angle), 3), np.float32)
    obs[:, 0], obs[:, 1], obs[:, 2] = np.cos(angle), np.sin(angle), speed
    return obs


_HIGH = np.array([1.0, 1.0, SPEED_LIMIT], np.float32)

PENDULUM = Dynamics(
    observation_space=spaces.Box(-_HIGH, _HIGH, dtype=np.float32),
    action_space=spaces.Box(-TORQUE_LIMIT, TORQUE_LIMIT, (1,), np.float32),
    initial_state=initial_state,
    transition=transition,
    observe=observe,
    compiled=partial(functions, "pendulum"),
)
