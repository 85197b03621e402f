"""Spaces as named arrays."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, iterate
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.spaces import SpaceError, flatten, leaves, row_bytes, unflatten, unflatten_rows
from tests.support.spaces import any_space
from training.errors import UserError


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    # Arrays hold float64 as float32.
    exact = np.asarray(one).dtype != np.float64
    return bool(np.array_equal(one, other) if exact else np.array_equal(np.float32(one), np.float32(other)))


@settings(max_examples=100, deadline=None)
@given(space=any_space, seed=st.integers(0, 1000))
def test_every_value_comes_back_from_its_arrays(space: gym.Space[Any], seed: int) -> None:
    space.seed(seed)
    value, parts = space.sample(), leaves(space)
    arrays = flatten(parts, value)
    for leaf in parts:
        assert arrays[leaf.name].shape == leaf.shape
        assert arrays[leaf.name].dtype == leaf.dtype
        assert leaf.counts is None or ((arrays[leaf.name] >= 0) & (arrays[leaf.name] < leaf.counts)).all()
    back = unflatten(space, parts, arrays)
    assert same(value, back)
    float64 = any(leaf.space.dtype == np.float64 for leaf in parts)
    assert float64 or space.contains(back)


@settings(max_examples=50, deadline=None)
@given(space=any_space, seed=st.integers(0, 1000))
def test_values_of_several_environments_come_back_as_gymnasium_batches_them(space: gym.Space[Any], seed: int) -> None:
    batched, parts = batch_space(space, 3), leaves(space)
    batched.seed(seed)
    values = batched.sample()
    arrays = flatten(parts, values, rows=(3,))
    back = unflatten(space, parts, arrays)
    assert same(tuple(iterate(batched, values)), tuple(iterate(batched, back)))
    one_by_one = list(unflatten_rows(space, parts, arrays))
    assert same(tuple(iterate(batched, values)), tuple(one_by_one))
    assert any(leaf.space.dtype == np.float64 for leaf in parts) or all(space.contains(value) for value in one_by_one)


def test_names_are_those_of_keys_and_positions() -> None:
    space = spaces.Dict(
        {"b": spaces.Tuple([spaces.Discrete(2), spaces.Dict({"c": spaces.MultiBinary(3)})]), "a": spaces.Discrete(3)}
    )
    assert [leaf.name for leaf in leaves(space)] == ["a", "b/0", "b/1/c"]
    assert [leaf.name for leaf in leaves(spaces.Discrete(2))] == [""]


def test_dtypes_are_those_that_networks_take() -> None:
    dtypes = {
        "float32": spaces.Box(0, 1, dtype=np.float64),
        "uint8": spaces.Box(0, 255, (2, 2), np.uint8),
        "int64": spaces.Discrete(3),
        "int8": spaces.MultiBinary(2),
    }
    assert {str(leaves(space)[0].dtype): space for space in dtypes.values()} == dtypes


@pytest.mark.parametrize(
    "space", [spaces.Text(3), spaces.Sequence(spaces.Discrete(2)), spaces.OneOf([spaces.Discrete(2)])]
)
def test_spaces_without_fixed_size_are_refused_by_name(space: gym.Space[Any]) -> None:
    nested = spaces.Dict({"x": spaces.Discrete(2), "said": space})
    with pytest.raises(UserError, match=f"{type(space).__name__} space \\(part 'said'\\): it takes Box"):
        leaves(nested)


def test_two_parts_of_one_name_are_refused() -> None:
    space = spaces.Dict({"a/b": spaces.Discrete(2), "a": spaces.Dict({"b": spaces.Discrete(2)})})
    with pytest.raises(UserError, match="same name"):
        leaves(space)


@pytest.mark.parametrize(
    ("space", "value", "message"),
    [
        (spaces.Box(0, 1, (2,)), np.zeros(3), "shape"),
        (spaces.Box(0, 1, (2,)), np.array([0, np.inf]), "holds inf at \\[1\\]"),
        (spaces.Box(0, 255, (2,), np.uint8), np.zeros(2), "dtype"),
        (spaces.Discrete(3, start=2), 1, "outside"),
        (spaces.Discrete(3, start=2), 5, "outside"),
        (spaces.Discrete(3), 1.0, "dtype"),
        (spaces.MultiBinary(2), np.array([0, 2], np.int8), "outside"),
        (spaces.Dict({"a": spaces.Discrete(2)}), {"b": 1}, "no part 'a'"),
        (spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)]), (1,), "no part '1'"),
        (
            spaces.Box(0, 255, (2,), np.uint8),
            np.array([3, 300], np.uint16),
            r"holds 300, outside its space Box\(0, 255",
        ),
    ],
)
def test_a_value_outside_its_space_is_refused(space: gym.Space[Any], value: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        flatten(leaves(space), value)


def test_a_part_whose_name_has_a_dot_is_refused() -> None:
    with pytest.raises(UserError, match=r"'a\.b' has a dot in its name"):
        leaves(spaces.Dict({"a.b": spaces.Discrete(2)}))


def test_a_row_takes_the_bytes_of_its_arrays() -> None:
    space = spaces.Dict({"image": spaces.Box(0, 255, (4, 4, 1), np.uint8), "which": spaces.Discrete(3)})
    assert row_bytes(space) == 16 + 8
    assert row_bytes(spaces.Box(-1, 1, (3,), np.float64)) == 12
