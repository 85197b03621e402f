"""The calibration error and the temperature, by hand and on logits whose temperature is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pretraining.calibration import best_temperature, calibration_error
from training.seeding import generator


def test_the_calibration_error_and_the_temperature_are_those_of_the_paper() -> None:
    probabilities = np.array([[0.9, 0.1], [0.85, 0.15], [0.2, 0.8], [0.55, 0.45]])
    target = np.array([0, 1, 1, 1])
    # Ten bins: 0.8 to 0.9 holds 0.9 (right) and 0.85 (wrong); 0.7 to 0.8 holds 0.8 (right); 0.5 to 0.6 0.55 (wrong).
    by_hand = (abs(0.9 + 0.85 - 1) + abs(0.8 - 1) + abs(0.55 - 0)) / 4
    assert calibration_error(probabilities, target, bins=10) == pytest.approx(by_hand)
    rng = generator(1, "logits")
    logits = 2 * torch.randn(20_000, 5, generator=rng)
    drawn = torch.multinomial(torch.softmax(logits, -1), 1, generator=rng).squeeze(1)
    assert best_temperature(3 * logits, drawn) == pytest.approx(3.0, rel=0.03)
