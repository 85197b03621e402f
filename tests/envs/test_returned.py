"""What environments return against the contract; of single ones tests/envs/vectors/test_sub_env.py has more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.returned import ContractError, of_reset, of_step, of_vector_step

OBS, NONE = np.zeros(2), np.zeros(2, bool)


def test_what_fits_is_given_back() -> None:
    assert of_reset((OBS, {"a": 1}))[1] == {"a": 1}
    stepped = of_step((OBS, np.float32(0.5), 1, np.array([False]), {}))
    assert stepped[1:] == (0.5, True, False, {})
    assert [type(value) for value in stepped[1:4]] == [float, bool, bool]
    _, reward, terminated, truncated, _ = of_vector_step((OBS, [1, 2], np.array([1, 0]), NONE, {}), 2)
    assert (reward.tolist(), terminated.tolist(), truncated.tolist()) == ([1.0, 2.0], [True, False], [False, False])
    assert (reward.dtype, terminated.dtype) == (np.float64, np.bool_)


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        ((OBS, OBS[:2]), r"its reset returned 2 values \(ndarray, ndarray\): it takes \(observation, info\)"),
        (OBS, r"its reset returned an array of shape \(2,\)"),
        ({"a": 1}, r"its reset returned \{'a': 1\} \(dict\)"),
    ],
)
def test_a_reset_that_does_not_fit_is_shown(returned: Any, what: str) -> None:
    with pytest.raises(ContractError, match=what):
        of_reset(returned)


@pytest.mark.parametrize("reward", [10**400, [1.0, [2.0]], [], "nan", b"1", object(), np.array(["1"], object)])
def test_what_is_no_number_is_no_reward(reward: Any) -> None:
    with pytest.raises(ContractError, match="its reward is not a number: "):
        of_step((OBS, reward, 0, 0, {}))


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        ((OBS, OBS, NONE, {}), "its step returned 4 values"),
        ((OBS, OBS, NONE, NONE, None), "its info is None: it takes a dict"),
        ((OBS, ["1", "2"], NONE, NONE, {}), r"its rewards are <U1 of shape \(2,\): it takes 2 of them"),
        ((OBS, OBS[:1], NONE, NONE, {}), r"its rewards are float64 of shape \(1,\): it takes 2 of them"),
        ((OBS, OBS, [None, None], NONE, {}), r"its terminated are object of shape \(2,\): it takes 2 of them"),
    ],
)
def test_a_step_of_several_that_does_not_fit_is_shown(returned: Any, what: str) -> None:
    with pytest.raises(ContractError, match=what):
        of_vector_step(returned, 2)
