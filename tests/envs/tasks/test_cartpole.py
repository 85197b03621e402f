"""CartPole against Gymnasium's own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.batched import require_the_same_bits, require_the_same_bits_over_thousands_of_episodes


def balance(obs: np.ndarray) -> np.ndarray:
    """Holds the pole up to the time limit."""
    return (obs[:, 2] + 0.5 * obs[:, 3] + 0.05 * obs[:, 0] + 0.1 * obs[:, 1] > 0).astype(np.int64)


@pytest.mark.parametrize("name", ["CartPole-v0", "CartPole-v1"])
def test_it_has_the_bits_of_gymnasiums_own(name: str) -> None:
    terminations, truncations = require_the_same_bits(name, balance)
    assert terminations >= 9
    assert truncations >= 3


@pytest.mark.full
@pytest.mark.parametrize("name", ["CartPole-v0", "CartPole-v1"])
def test_so_it_has_over_thousands_of_episodes(name: str) -> None:
    require_the_same_bits_over_thousands_of_episodes(name, balance)
