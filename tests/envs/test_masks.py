"""Action masks as environments report them, and as one array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from envs.masks import allows_something, are_allowed, mask_array, mask_parts
from envs.spaces import SpaceError

PAIR = spaces.MultiDiscrete([2, 3], start=[4, 4])
BOTH = [True, False, False, True, True]


@pytest.mark.parametrize(
    ("space", "reported", "array"),
    [
        (spaces.Discrete(3, start=7), np.array([1, 0, 1], np.int8), [True, False, True]),
        (spaces.Discrete(2), [True, False], [True, False]),
        (PAIR, np.array(BOTH), BOTH),
        (PAIR, (np.array([1, 0], np.int8), np.array([0, 1, 1], np.int8)), BOTH),
        (spaces.MultiDiscrete([2, 2]), np.array([[1.0, 0.0], [0.0, 1.0]]), [True, False, False, True]),
        (spaces.MultiDiscrete([[1, 2], [1, 1]]), (([1], [0, 1]), ([1], [1])), [True, False, True, True, True]),
    ],
)
def test_masks_become_one_array(space: Any, reported: Any, array: list[bool]) -> None:
    assert mask_array(space, reported).tolist() == array


@pytest.mark.parametrize(
    ("space", "reported", "what"),
    [
        (spaces.Discrete(3), np.ones(2), r"has 2 entries; Discrete\(3\) takes 3"),
        (PAIR, (np.ones(3), np.ones(2)), r"has 3 \+ 2 entries; MultiDiscrete\(.*\) takes 2 \+ 3"),
        (PAIR, np.array([0, 0, -np.inf, 0, 0]), r"is \[0.0, 0.0, -inf, 0.0, 0.0\]: it takes 0 and 1"),
        (spaces.Discrete(1), "a", r"is \['a'\]: it takes 0 and 1"),
        (spaces.MultiBinary(2), np.ones(4), "has 4 entries"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(space: Any, reported: Any, what: str) -> None:
    with pytest.raises(SpaceError, match=what):
        mask_array(space, reported)


def test_each_number_of_an_action_is_asked_for() -> None:
    mask = np.array([BOTH, BOTH, BOTH])
    assert are_allowed(mask_parts(PAIR), mask, np.array([[0, 1], [1, 1], [0, 0]])).tolist() == [True, False, False]
    assert are_allowed((2,), mask[:2, :2], np.array([0, 1])).tolist() == [True, False]
    assert allows_something((2, 3), mask[0])
    assert not allows_something((2, 3), np.array([True, True, False, False, False]))
