"""Continuous mountain car against Gymnasium's own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.batched import require_the_same_bits, require_the_same_bits_over_thousands_of_episodes


def full_force_along(obs: np.ndarray) -> np.ndarray:
    """Full force the way that the car moves: it reaches the goal, and the wall on the left before."""
    return np.where(obs[:, 1:] >= 0, np.float32(1), np.float32(-1))


def test_it_has_the_bits_of_gymnasiums_own() -> None:
    terminations, truncations = require_the_same_bits("MountainCarContinuous-v0", full_force_along)
    assert terminations >= 9
    assert truncations >= 3


@pytest.mark.full
def test_so_it_has_over_thousands_of_episodes() -> None:
    require_the_same_bits_over_thousands_of_episodes("MountainCarContinuous-v0", full_force_along)
