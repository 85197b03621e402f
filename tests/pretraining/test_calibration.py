"""The calibration error and the temperature, by hand and on logits whose temperature is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pretraining.calibration import best_temperature, calibration_error, number_reliability, reliability
from pretraining.measures import class_measures
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


def test_a_reliability_diagram_has_the_means_of_its_bins_and_the_error_is_their_distance() -> None:
    probabilities = np.array([[0.9, 0.1], [0.85, 0.15], [0.2, 0.8], [0.55, 0.45]])
    target = np.array([0, 1, 1, 1])
    said, true, count = reliability(probabilities, target, bins=10)
    assert said == pytest.approx([0.55, 0.8, 0.875])
    assert true == pytest.approx([0.0, 1.0, 0.5])
    assert count.tolist() == [1, 1, 2]
    error = (np.abs(said - true) * count).sum() / 4
    assert calibration_error(probabilities, target, bins=10) == pytest.approx(error)


def test_numbers_are_put_into_bins_of_as_many_samples_by_what_was_said() -> None:
    said, true, count = number_reliability(np.array([4.0, 1.0, 3.0, 2.0, 5.0]), np.array([8.0, 2.0, 6.0, 4.0, 9.0]), 2)
    assert (said.tolist(), true.tolist(), count.tolist()) == ([2.0, 4.5], [4.0, 8.5], [3, 2])


def made_up(seed: int, samples: int) -> tuple[Tensor, Tensor]:
    """Logits of two classes, which are right for about 95 of 100 samples."""
    rng = generator(seed, "made up")
    target = torch.randint(2, (samples,), generator=rng)
    margin = 3.0 + 1.8 * torch.randn(samples, generator=rng)
    return torch.stack([torch.zeros(samples), torch.where(target == 1, margin, -margin)], 1), target


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(*[st.floats(-1, 1)] * 3, st.integers(0, 2)), min_size=1, max_size=12),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e3, 1e30]),
)
@example(rows=[(0.96875, 0.96875, 0.96875, 0)], scale=1e30)
def test_calibrated_is_never_worse_where_it_was_fitted(
    rows: list[tuple[float, float, float, int]], scale: float
) -> None:
    logits = torch.tensor([row[:3] for row in rows], dtype=torch.float32) * scale
    target = torch.tensor([row[3] for row in rows])
    temperature = best_temperature(logits, target)
    assert 0 < temperature < float("inf")
    found = class_measures(logits, target, temperature)
    assert np.isfinite(found["log_likelihood"])
    assert found["log_likelihood"] >= found["log_likelihood_uncalibrated"] * (1 + 1e-9) - 1e-9


def test_where_every_answer_is_right_the_temperature_stays_moderate() -> None:
    logits, target = made_up(1, 85)
    logits = logits[:, :1] + (logits[:, 1:] - logits[:, :1]).abs() * torch.stack([1 - target, target], 1)
    assert 0.2 < best_temperature(logits, target) < 1
    assert best_temperature(1000 * logits, target) == pytest.approx(1.0, abs=0.01)  # they are certain already


def test_few_samples_to_validate_with_make_others_no_worse() -> None:
    gains = []
    for seed in range(40):
        logits, target = made_up(seed, 1000)
        found = class_measures(logits[85:], target[85:], best_temperature(logits[:85], target[:85]))
        gains.append(found["log_likelihood"] - found["log_likelihood_uncalibrated"])
    assert min(gains) > -0.01
    assert np.mean(gains) > 0.01
