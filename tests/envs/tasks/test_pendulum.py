"""Pendulum against Gymnasium's own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.batched import require_the_same_bits, require_the_same_bits_over_thousands_of_episodes


def spin_pendulum(obs: np.ndarray) -> np.ndarray:
    """Full torque the way that it moves: it turns over and over at its limit of speed."""
    return np.where(obs[:, 2:] >= 0, np.float32(2), np.float32(-2))


def test_it_has_the_bits_of_gymnasiums_own() -> None:
    terminations, truncations = require_the_same_bits("Pendulum-v1", spin_pendulum)
    assert terminations == 0
    assert truncations >= 3


@pytest.mark.full
def test_so_it_has_over_thousands_of_episodes() -> None:
    require_the_same_bits_over_thousands_of_episodes("Pendulum-v1", spin_pendulum)
