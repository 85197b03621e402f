"""Mountain car as batched dynamics (envs/vectors/batched.py), bit for bit Gymnasium's MountainCar-v0.

The operations and their order are Gymnasium's, so that they round alike.

Source: Moore (1990), and gymnasium/envs/classic_control/mountain_car.py (1.2).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.tasks.classic_control import functions
from envs.vectors.batched import Dynamics, Float

FORCE, GRAVITY = 0.001, 0.0025
LEFT, RIGHT, GOAL, SPEED_LIMIT = -1.2, 0.6, 0.5, 0.07


def initial_state(generator: np.random.Generator) -> Float:
    """State [2]: position and speed."""
    return np.array([generator.uniform(-0.6, -0.4), 0.0])


def transition(state: Float, action: NDArray[Any]) -> tuple[Float, Float, NDArray[np.bool_]]:
    """One step; every step costs 1. The wall on the left stops the car, the goal ends the episode."""
    position, speed = state
    speed = np.clip(speed + ((action - 1) * FORCE + np.cos(3 * position) * -GRAVITY), -SPEED_LIMIT, SPEED_LIMIT)
    position = np.clip(position + speed, LEFT, RIGHT)
    speed[(position == LEFT) & (speed < 0)] = 0.0
    return np.array((position, speed)), np.full(len(position), -1.0), (position >= GOAL) & (speed >= 0)


def observe(state: Float) -> NDArray[np.float32]:
    """The state itself [N, 2]."""
    return state.T.astype(np.float32, order="C")


MOUNTAIN_CAR = Dynamics(
    observation_space=spaces.Box(
        np.array([LEFT, -SPEED_LIMIT], np.float32), np.array([RIGHT, SPEED_LIMIT], np.float32), dtype=np.float32
    ),
    action_space=spaces.Discrete(3),
    initial_state=initial_state,
    transition=transition,
    observe=observe,
    compiled=partial(functions, "mountain_car"),
)
