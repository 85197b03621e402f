"""Marks for the tests that `make test` leaves to `make test-full`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def full_but(quick: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """The values of a parameter, of which `make test` takes the quick ones alone.

    Raises AssertionError for a quick one that is not among them.
    """
    given = list(values)
    missing = [value for value in quick if value not in given]
    assert not missing, f"{missing} are not among the values"
    return [value if value in quick else pytest.param(*_parts(value), marks=pytest.mark.full) for value in given]


def _parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
