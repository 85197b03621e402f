"""Comparing: the inputs reach everywhere, and a small difference is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from serving.acting_module import ActingModule
from serving.comparison import FAR, TOLERANCE, acting_call, compare, inputs_for
from serving.model_file import Arrays, as_call
from serving.signature import Signature, Value
from tests.support.exported import POLICIES


def signature_of(space: spaces.Space[Any], dtype: str) -> Signature:
    return Signature((Value("input", space, dtype),), (Value("output", space, dtype),))


@pytest.mark.parametrize(
    ("space", "dtype", "edges"),
    [
        (spaces.Box(-1.0, 2.0, (3,)), "float32", (-1.0, 2.0)),
        (spaces.Box(-np.inf, np.inf, (3,)), "float32", (-FAR, FAR)),
        (spaces.Box(0, 255, (2, 2), np.uint8), "uint8", (0, 255)),
        (spaces.Discrete(4, start=-1), "int64", (-1, 2)),
        (spaces.MultiDiscrete([2, 5]), "int64", ([0, 0], [1, 4])),
        (spaces.MultiBinary(3), "int8", (0, 1)),
    ],
)
def test_inputs_reach_the_ends_of_their_space_and_lie_in_it(space: Any, dtype: str, edges: Any) -> None:
    signature = signature_of(space, dtype)
    values = inputs_for(signature, 400)["input"]
    assert (values.dtype, values.shape) == (np.dtype(dtype), (400, *space.shape))
    assert (values[0] == edges[0]).all()
    assert (values[1] == edges[1]).all()
    assert len(np.unique(values)) > 10 or space.is_bounded if isinstance(space, spaces.Box) else True
    signature.check({"input": values})  # raises outside the space
    assert (inputs_for(signature, 400, seed=1)["input"] != values).any()


def test_it_sees_a_difference_of_one_choice_and_of_a_hundred_thousandth() -> None:
    for name, change in (("ppo", 1), ("sac", 2 * TOLERANCE), ("lstm", 2 * TOLERANCE)):
        policy = POLICIES[name]()
        module = ActingModule(policy)
        call = as_call(module)

        def changed(inputs: Mapping[str, Any], call: Any = call, change: float = change) -> Arrays:
            found: Arrays = call(inputs)
            action = found["action"].copy()
            action[-1] += np.asarray(change, action.dtype)
            return {**found, "action": action}

        assert compare(acting_call(policy), call, module.signature, rows=100).same
        compared = compare(acting_call(policy), changed, module.signature, rows=100)
        assert not compared.same, name
        assert (compared.choices_that_differ > 0) == (name == "ppo")


def test_a_model_that_is_not_finite_differs() -> None:
    signature = signature_of(spaces.Box(-1.0, 1.0, (1,)), "float32")

    def same(inputs: Mapping[str, Any]) -> Arrays:
        return {"output": inputs["input"]}

    def broken(inputs: Mapping[str, Any]) -> Arrays:
        return {"output": inputs["input"] * np.nan}

    assert compare(same, same, signature, rows=10).same
    assert compare(same, broken, signature, rows=10).largest_difference == np.inf


def test_a_memory_is_carried_through_sequences() -> None:
    policy = POLICIES["gru"]()
    module = ActingModule(policy)
    call = as_call(module)

    def forgets(inputs: Mapping[str, Any]) -> Arrays:
        return call({**inputs, "state": np.zeros_like(inputs["state"])})

    assert not compare(acting_call(policy), forgets, module.signature, rows=100).same
