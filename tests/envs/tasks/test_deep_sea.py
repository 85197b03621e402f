"""The deep sea: where the treasure is, what the way costs, and that chance hardly finds it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.single import make_env

DEEP = EnvConfig("envs.tasks:DeepSea-v0", kwargs={"size": 5})


def play(right: list[bool]) -> tuple[float, int, bool]:
    """The return, the length and the success of an episode that goes right where it says so."""
    env = make_env(DEEP)
    task: Any = env.unwrapped
    obs, _ = env.reset(seed=1)
    total, info = 0.0, {}
    for step, goes in enumerate(right):
        assert env.observation_space.contains(obs)
        (cell,) = np.flatnonzero(obs)
        assert cell // 5 == step
        action = task.goes_right[divmod(cell, 5)]
        obs, reward, terminated, truncated, info = env.step(int(action if goes else 1 - action))
        total += float(reward)
        assert not truncated
        assert terminated == (step == 4)
    assert not obs.any()
    return total, step + 1, info["is_success"]


def test_always_right_finds_the_treasure_and_pays_for_the_way() -> None:
    total, length, success = play([True] * 5)
    assert (total, length, success) == (pytest.approx(0.99), 5, True)


@pytest.mark.parametrize("wrong", range(5))
def test_one_step_to_the_left_misses_it(wrong: int) -> None:
    total, _, success = play([step != wrong for step in range(5)])
    assert (total, success) == (pytest.approx(-0.008), False)


def test_always_left_costs_nothing() -> None:
    assert play([False] * 5) == (0.0, 5, False)


def test_what_an_action_means_depends_on_the_cell_and_the_mapping() -> None:
    ways = [make_env(EnvConfig("envs.tasks:DeepSea-v0", kwargs={"mapping": seed})).unwrapped for seed in (0, 1)]
    one, other = (way.goes_right for way in ways)  # type: ignore[attr-defined]
    assert set(one.ravel()) == {0, 1}
    assert (one != other).any()
