"""Acrobot against Gymnasium's own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.batched import require_the_same_bits, require_the_same_bits_over_thousands_of_episodes


def swing_acrobot(obs: np.ndarray) -> np.ndarray:
    """Pumps energy into the second joint: the tip crosses the line, and both speeds reach their limits."""
    return np.where(obs[:, 5] > 0, 2, 0)


def test_it_has_the_bits_of_gymnasiums_own() -> None:
    terminations, truncations = require_the_same_bits("Acrobot-v1", swing_acrobot)
    assert terminations >= 9
    assert truncations >= 3


@pytest.mark.full
def test_so_it_has_over_thousands_of_episodes() -> None:
    require_the_same_bits_over_thousands_of_episodes("Acrobot-v1", swing_acrobot)
