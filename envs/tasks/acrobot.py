"""Acrobot as batched dynamics (envs/vectors/batched.py), bit for bit Gymnasium's Acrobot-v1.

The operations and their order are Gymnasium's, so that they round alike.

Source: Sutton (1996), with the equations of Sutton and Barto's book, and gymnasium/envs/classic_control/acrobot.py
(1.2).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.tasks.classic_control import functions
from envs.vectors.batched import Dynamics, Float

CENTER, GRAVITY, STEP_S = 0.5, 9.8, 0.2
"""CENTER is the distance (m) of a link's center of mass from its upper joint."""
SPEED_LIMITS = np.array([[4 * np.pi], [9 * np.pi]])


def initial_state(generator: np.random.Generator) -> Float:
    """State [5]: angles (rad) of the two joints, their speeds, and 1 where the episode begins.

    Gymnasium begins in float32 and goes on in float64, which gives other cosines in the first observation.
    """
    return np.array([*generator.uniform(-0.1, 0.1, size=4).astype(np.float32), 1.0])


def transition(state: Float, action: NDArray[Any]) -> tuple[Float, Float, NDArray[np.bool_]]:
    """One Runge-Kutta step of 0.2 s; every step costs 1 but the last, which ends with the tip above the line."""
    moving, torque = state[:4], action - 1.0
    k1 = _derivatives(moving, torque)
    k2 = _derivatives(moving + STEP_S / 2.0 * k1, torque)
    k3 = _derivatives(moving + STEP_S / 2.0 * k2, torque)
    k4 = _derivatives(moving + STEP_S * k3, torque)
    moved = np.zeros_like(state)
    moved[:4] = moving + STEP_S / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)
    moved[:2] = _wrap(moved[:2])
    moved[2:4] = np.clip(moved[2:4], -SPEED_LIMITS, SPEED_LIMITS)
    terminated = -np.cos(moved[0]) - np.cos(moved[1] + moved[0]) > 1.0
    return moved, np.where(terminated, 0.0, -1.0), terminated


def _derivatives(state: Float, torque: Float) -> Float:
    """Of the angles and speeds [4, N].

    Masses, lengths and inertias are 1: as factors they are left out. Where a half is multiplied changes no bit.
    """
    angle_1, angle_2, speed_1, speed_2 = state
    cosine, sine = np.cos(angle_2), np.sin(angle_2)
    half_sine = CENTER * sine
    d1 = CENTER**2 + (1.0 + CENTER**2 + cosine) + 1.0 + 1.0
    d2 = CENTER**2 + CENTER * cosine + 1.0
    phi2 = CENTER * GRAVITY * np.cos(angle_1 + angle_2 - np.pi / 2)
    phi1 = (
        -half_sine * _square(speed_2)
        - speed_2 * speed_1 * sine
        + (CENTER + 1.0) * GRAVITY * np.cos(angle_1 - np.pi / 2)
        + phi2
    )
    acceleration_2 = (torque + d2 / d1 * phi1 - half_sine * _square(speed_1) - phi2) / (
        CENTER**2 + 1.0 - _square(d2) / d1
    )
    acceleration_1 = -(d2 * acceleration_2 + phi1) / d1
    return np.array((speed_1, speed_2, acceleration_1, acceleration_2))


def _square(x: Float) -> Float:
    """As Gymnasium squares its scalars: with the pow of C, which rounds otherwise than x * x, once in a thousand."""
    return np.float_power(x, 2)


def _wrap(angle: Float) -> Float:
    """Whole turns off, one by one, until the angle is in [-pi, pi]."""
    while (over := np.abs(angle) > np.pi).any():
        angle = np.where(over, angle - np.copysign(2 * np.pi, angle), angle)
    return angle


def observe(state: Float) -> NDArray[np.float32]:
    """Cosine and sine of the first angle and of the second, and both speeds [N, 6]."""
    obs, begins = _observe(state[:4]), state[4] == 1
    if begins.any():
        obs[begins] = _observe(state[:4, begins].astype(np.float32))
    return obs


def _observe(state: NDArray[Any]) -> NDArray[np.float32]:
    angle_1, angle_2, speed_1, speed_2 = state
    columns = (np.cos(angle_1), np.sin(angle_1), np.cos(angle_2), np.sin(angle_2), speed_1, speed_2)
    return np.array(columns).T.astype(np.float32, order="C")


_HIGH = np.array([1.0, 1.0, 1.0, 1.0, *SPEED_LIMITS[:, 0]], np.float32)

ACROBOT = Dynamics(
    observation_space=spaces.Box(-_HIGH, _HIGH, dtype=np.float32),
    action_space=spaces.Discrete(3),
    initial_state=initial_state,
    transition=transition,
    observe=observe,
    compiled=partial(functions, "acrobot"),
)
