"""What a model takes: checked, and told in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from serving.signature import Signature, Value
from training.errors import UserError

TAKES = Signature(
    (
        Value("obs", spaces.Box(-np.inf, np.inf, (2,)), "float32"),
        Value("choice", spaces.Discrete(3, start=1), "int64"),
        Value("mask", spaces.MultiBinary(2), "bool"),
    ),
    (),
)
GOOD: dict[str, Any] = {"obs": [[1, 2.5], [0, -1]], "choice": [1, 3], "mask": [[0, 1], [True, False]]}


def test_what_fits_comes_back_in_the_dtypes_of_the_model() -> None:
    checked = TAKES.check(GOOD)
    assert {name: value.dtype.name for name, value in checked.items()} == {
        "obs": "float32",
        "choice": "int64",
        "mask": "bool",
    }
    assert checked["obs"].tolist() == GOOD["obs"]
    assert checked["choice"].tolist() == [1, 3]  # as the environment counts them


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("obs", [[1, float("nan")], [0, 0]], r"obs holds nan at \[0, 1\]"),
        ("obs", [[1, 1e39], [0, 0]], r"obs holds inf at \[0, 1\]"),
        ("obs", [[1], [2]], r"obs has shape \(2, 1\)"),
        ("obs", [[1, 2], [3]], "obs has rows of different shapes"),
        ("obs", 3.0, "obs is float"),
        ("obs", "text", "obs is str"),
        ("obs", [["a", "b"]], "obs is list"),
        ("choice", [0, 1], r"choice is \[0, 1\], outside its space"),
        ("choice", [1.5, 1], "choice has dtype float64"),
        ("mask", [[0, 2], [1, 1]], "outside its space"),
        ("obs", [[1, 2]], "it takes as many of each"),
    ],
)
def test_what_does_not_fit_is_named(name: str, value: Any, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        TAKES.check({**GOOD, name: value})
    assert "\n" not in str(caught.value)


def test_all_inputs_are_asked_for_by_their_names() -> None:
    with pytest.raises(UserError, match=r"the inputs are \['obs'\]: it takes \['obs', 'choice', 'mask'\]"):
        TAKES.check({"obs": GOOD["obs"]})
