"""JSON that gives equal values back; the configs and checkpoints that are made of it have tests of their own."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import UserError
from training.json_values import decode, decode_free, encode, encode_free

numbers = st.booleans() | st.integers() | st.floats(allow_nan=False)
values = st.recursive(
    st.none() | numbers | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.sampled_from(["$tuple", "$dict"]), inner, max_size=3)
    ),
    max_leaves=10,
)


def refuse(*_: Any) -> Any:
    raise AssertionError


@given(values)
def test_values_come_back_with_their_types(value: Any) -> None:
    text = json.dumps(encode(value, "here", refuse), allow_nan=False)
    assert repr(decode(json.loads(text), refuse)) == repr(value)


def test_what_is_not_a_number_comes_back() -> None:
    assert math.isnan(decode(encode(math.nan, "here", refuse), refuse))


def test_other_values_have_a_tag_of_their_own() -> None:
    tree = encode({"a": [{1}]}, "here", lambda value, path: {"$set": [path, *value]})
    assert tree == {"a": [{"$set": ["here.a.0", 1]}]}
    assert decode(tree, lambda tag, value: (tag, value)) == {"a": [("$set", ["here.a.0", 1])]}


@pytest.mark.parametrize("scalar", [np.int8(-3), np.uint64(2**63), np.float32(0.1), np.float16("inf"), np.bool_(0)])
def test_a_scalar_of_numpy_keeps_its_type(scalar: Any) -> None:
    again = decode_free("here", json.loads(json.dumps(encode_free("here", [scalar]), allow_nan=False)))
    assert repr(again) == repr([scalar])


def test_free_values_are_refused_by_their_place() -> None:
    with pytest.raises(UserError, match=r"env\.kwargs\.reward = <class 'int'>: it takes bool, int"):
        encode_free("env.kwargs", {"reward": int})
    with pytest.raises(UserError, match=r"here = .*: an object with a dollar sign takes what config\.json has"):
        decode_free("here", {"$tuple": 1})
