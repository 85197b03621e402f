"""Spaces as JSON."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings

from envs.space_json import space_from_json, space_to_json
from envs.spaces import leaves
from tests.support.spaces import any_space
from training.errors import UserError


@settings(max_examples=100, deadline=None)
@given(space=any_space)
def test_every_space_comes_back_from_json(space: gym.Space[Any]) -> None:
    text = json.dumps(space_to_json(space), allow_nan=False)
    back = space_from_json(json.loads(text))
    assert back == space
    assert [leaf.name for leaf in leaves(back)] == [leaf.name for leaf in leaves(space)]
    assert [leaf.space.dtype for leaf in leaves(back)] == [leaf.space.dtype for leaf in leaves(space)]


def test_the_bounds_of_an_image_are_one_number() -> None:
    assert space_to_json(spaces.Box(0, 255, (84, 84, 4), np.uint8))["high"] == 255
    assert space_to_json(spaces.Box(-np.inf, np.inf, (3,)))["low"] == "-inf"


@pytest.mark.parametrize(
    "space", [spaces.Text(3), spaces.Sequence(spaces.Discrete(2)), spaces.OneOf([spaces.Discrete(2)])]
)
def test_spaces_without_fixed_size_are_refused_by_name(space: gym.Space[Any]) -> None:
    nested = spaces.Dict({"x": spaces.Discrete(2), "said": space})
    with pytest.raises(UserError, match=f"{type(space).__name__} space: it takes Box"):
        space_to_json(nested)


def test_an_unknown_kind_is_told() -> None:
    with pytest.raises(UserError, match="a saved space has kind = 'Graph': it takes Box, Discrete"):
        space_from_json({"kind": "Graph"})
