"""Packages that come in extras."""

from __future__ import annotations

import pytest

from training.errors import UserError
from training.extras import extra, install_command


def test_a_missing_package_is_told_in_one_line_with_what_installs_it() -> None:
    with pytest.raises(UserError) as raised, extra("vision"):
        raise ImportError("No module named 'telescope'\nand more of it")
    told = "a package is missing (No module named 'telescope'); install it: "
    assert str(raised.value) == told + install_command("vision")
    assert install_command("vision").endswith(' -e ".[vision]"')


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), extra("vision"):
        raise ZeroDivisionError
