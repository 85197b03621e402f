"""What the shape of a network may not be."""

from __future__ import annotations

import pytest

from training.errors import UserError
from training.networks import NetworkConfig


def test_impossible_values_are_named() -> None:
    with pytest.raises(UserError, match=r"^hidden = \(64, 0\)"):
        NetworkConfig(hidden=(64, 0))
