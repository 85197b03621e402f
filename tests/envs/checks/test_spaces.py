"""Spaces: what takes them, and what of them is hard to learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from envs.checks.sample import Sample
from envs.checks.spaces import check_actions, check_observations, require_arrays


def observed(space: Any, *values: Any) -> list[tuple[str, str]]:
    sample = Sample(space, spaces.Discrete(2))
    if values:
        sample.low, sample.high = {"": np.min(values, 0)}, {"": np.max(values, 0)}
    return [(one.level, one.says) for one in check_observations(space, sample)]


def picture(*shape: int, high: int = 255) -> spaces.Box:
    return spaces.Box(0, high, shape, np.uint8)


@pytest.mark.parametrize(
    ("space", "level", "says"),
    [
        (picture(84, 84, 3), "ok", "for convolutions: 84 x 84, 3 channels"),
        (picture(3, 84, 96), "ok", "for convolutions: 84 x 96, 3 channels"),
        (picture(4, 84, 84, 3), "ok", "for convolutions: 84 x 84, 12 channels"),
        (picture(84, 84), "ok", "for convolutions: 84 x 84, 1 channels"),
        (picture(7, 7, 3), "advice", "too small for the default convolutions"),
        (picture(40, 60, 50), "advice", "neither first nor last are few"),
        (picture(84, 84, 3, high=1), "advice", "with bounds other than 0 and 255"),
        (spaces.Dict({"a": spaces.Discrete(3)}), "ok", "the observation 'a' is Discrete(3)"),
    ],
)
def test_what_takes_an_observation_is_said(space: Any, level: str, says: str) -> None:
    assert any(one == level and says in told for one, told in observed(space))


def test_ranges_types_and_bounds_are_judged_by_what_was_seen() -> None:
    wide = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    assert [level for level, _ in observed(wide, np.float32([0, 1]), np.float32([1, -2]))] == ["ok"]
    assert "values up to 500" in observed(wide, np.float32([0, 500]))[1][1]
    narrow = spaces.Box(-1, 1, (2,), np.float64)
    levels = observed(narrow, np.float32([0, 3]))
    assert ["is float64" in says for _, says in levels] == [False, True, False]
    assert "leaves its bounds" in levels[2][1]
    assert (
        "is flattened" in observed(spaces.Box(0, 1, (84, 84, 3), np.float32), np.zeros((84, 84, 3), np.float32))[1][1]
    )


@pytest.mark.parametrize(
    ("space", "level", "says"),
    [
        (spaces.Discrete(3), "ok", "Discrete(3)"),
        (spaces.Box(-1, 1, (2,)), "ok", "2 numbers in [-1, 1]"),
        (spaces.Box(0, 7, (2,)), "ok", "in [0, 7]: learned in [-1, 1] and rescaled"),
        (spaces.Box(-np.inf, np.inf, (2,)), "advice", "without bounds"),
        (spaces.Box(0, 3, (2,), np.int64), "wrong", "agents give a Box floats alone"),
        (spaces.Box(np.float32([0, 1]), np.float32([1, 1])), "wrong", "whose range is empty"),
    ],
)
def test_actions_have_ranges_that_agents_can_use(space: Any, level: str, says: str) -> None:
    (one,) = check_actions(space)
    assert one.level == level
    assert says in one.says


def test_texts_and_sequences_are_refused() -> None:
    for space in (spaces.Text(3), spaces.Dict({"x": spaces.Sequence(spaces.Discrete(2))})):
        (one,) = require_arrays(space, "spaces")
        assert one.level == "wrong"
    assert require_arrays(spaces.Discrete(2), "spaces") == []
