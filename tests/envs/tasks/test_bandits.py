"""Bernoulli bandits: many at once pay what one pays, and as often as they should."""

from __future__ import annotations

import numpy as np
import pytest

from envs.tasks.bandits import BernoulliBandit
from tests.support.batched import require_the_same_bits, require_the_same_bits_over_thousands_of_episodes


def pull_the_first_arm(obs: np.ndarray) -> np.ndarray:
    return np.zeros_like(obs)


def test_it_has_the_bits_of_gymnasiums_own() -> None:
    terminations, truncations = require_the_same_bits("BernoulliBandit-v0", pull_the_first_arm)
    assert terminations >= 9
    assert truncations >= 3


@pytest.mark.full
def test_so_it_has_over_thousands_of_episodes() -> None:
    require_the_same_bits_over_thousands_of_episodes("BernoulliBandit-v0", pull_the_first_arm)


def test_probabilities_are_numbers_from_0_to_1() -> None:
    with pytest.raises(ValueError, match=r"probabilities = \[\]: it takes at least one number from 0 to 1"):
        BernoulliBandit([])
    with pytest.raises(ValueError, match="it takes at least one number from 0 to 1"):
        BernoulliBandit([0.5, 2])
