"""Mistakes of the user's: one line that names the value and what would be right."""

from __future__ import annotations

import pytest

from training.errors import UserError, require


def test_a_value_that_is_wrong_is_named_with_what_would_be_right() -> None:
    require(True, "seed", 1, "an integer of at least 0")  # noqa: FBT003
    with pytest.raises(UserError) as raised:
        require(False, "seed", "-1", "an integer of at least 0")  # noqa: FBT003
    assert str(raised.value) == "seed = '-1': it takes an integer of at least 0"
    assert raised.value.key == "seed"


def test_it_is_no_value_error_which_config_libraries_would_wrap() -> None:
    assert not issubclass(UserError, ValueError)
    assert UserError("no such run").key is None
