"""The dial: what it shows, pays and ends."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from envs.tasks.digit_dial import STEP_COST
from training.errors import UserError


def test_it_turns_within_its_places_and_stopping_pays_at_the_goal() -> None:
    env = gym.make("envs.tasks:DigitDial-v0", goal=9)
    obs, _ = env.reset(seed=1)
    for _ in range(12):
        assert env.observation_space.contains(obs)
        obs, reward, terminated, truncated, info = env.step(np.int64(1))
        assert (reward, terminated, truncated, info) == (-STEP_COST, False, False, {"is_success": False})
    _, reward, terminated, _, info = env.step(np.int64(2))
    assert (reward, terminated, info) == (pytest.approx(1 - STEP_COST), True, {"is_success": True})
    env.reset(seed=1)
    for _ in range(12):
        env.step(np.int64(0))
    _, reward, terminated, _, info = env.step(np.int64(2))
    assert (reward, terminated, info) == (pytest.approx(-1 - STEP_COST), True, {"is_success": False})


def test_the_seed_decides_the_place_and_the_handwriting() -> None:
    env = gym.make("envs.tasks:DigitDial-v0")
    first = env.reset(seed=3)[0]
    assert (env.reset(seed=3)[0] == first).all()
    assert len({env.reset(seed=seed)[0].tobytes() for seed in range(20)}) == 20


def test_a_goal_that_is_no_place_is_told() -> None:
    with pytest.raises(UserError, match="goal = 10: it takes 0 to 9"):
        gym.make("envs.tasks:DigitDial-v0", goal=10)
