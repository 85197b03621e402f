"""CartPole as batched dynamics (envs/vectors/batched.py), bit for bit Gymnasium's CartPole-v1.

The operations and their order are Gymnasium's, so that they round alike.

Source: Barto, Sutton and Anderson (1983), and gymnasium/envs/classic_control/cartpole.py (1.2).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.tasks.classic_control import functions
from envs.vectors.batched import Dynamics, Float

GRAVITY, CART_MASS, POLE_MASS, HALF_LENGTH, FORCE, STEP_S = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
TOTAL_MASS = POLE_MASS + CART_MASS
POLE_MASS_LENGTH = POLE_MASS * HALF_LENGTH
X_LIMIT = 2.4
ANGLE_LIMIT = 12 * 2 * np.pi / 360


def initial_state(generator: np.random.Generator) -> Float:
    """State [4]: cart position (m) and speed, pole angle (rad) and angular speed."""
    return generator.uniform(-0.05, 0.05, size=4)


def transition(state: Float, action: NDArray[Any]) -> tuple[Float, Float, NDArray[np.bool_]]:
    """One Euler step of 0.02 s; every step is worth 1."""
    x, x_speed, angle, angle_speed = state
    cosine, sine = np.cos(angle), np.sin(angle)
    force = action * (2 * FORCE) - FORCE
    pushed = (force + POLE_MASS_LENGTH * np.square(angle_speed) * sine) / TOTAL_MASS
    angle_acceleration = (GRAVITY * sine - cosine * pushed) / (
        HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * np.square(cosine) / TOTAL_MASS)
    )
    x_acceleration = pushed - POLE_MASS_LENGTH * angle_acceleration * cosine / TOTAL_MASS
    moved: Float = state + STEP_S * np.array((x_speed, x_acceleration, angle_speed, angle_acceleration))
    terminated = (np.abs(moved[0]) > X_LIMIT) | (np.abs(moved[2]) > ANGLE_LIMIT)
    return moved, np.ones(len(x)), terminated


def observe(state: Float) -> NDArray[np.float32]:
    """The state itself [N, 4]."""
    return state.T.astype(np.float32, order="C")


_HIGH = np.array([X_LIMIT * 2, np.inf, ANGLE_LIMIT * 2, np.inf], np.float32)

CARTPOLE = Dynamics(
    observation_space=spaces.Box(-_HIGH, _HIGH, dtype=np.float32),
    action_space=spaces.Discrete(2),
    initial_state=initial_state,
    transition=transition,
    observe=observe,
    compiled=partial(functions, "cartpole"),
)
