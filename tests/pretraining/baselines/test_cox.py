"""Cox regression: it finds the effects that made the data, and the right columns."""

from __future__ import annotations

import numpy as np
import pytest

from pretraining.baselines.cox import best_cox, fit_cox
from pretraining.survival_measures import c_index


def patients(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of two columns the first matters, by its logarithm, which is the third."""
    rng = np.random.default_rng(seed)
    x = np.exp(0.7 * rng.normal(size=(count, 2)))
    time, seen = rng.exponential(10 * np.exp(-np.log(x[:, 0]))), rng.uniform(5, 30, count)
    observed = np.ceil(np.minimum(time, seen))  # with ties
    return np.concatenate([x, np.log(x[:, :1])], 1), np.stack([observed, time <= seen], 1).astype(np.float32)


def test_it_finds_the_effects_and_the_risks() -> None:
    inputs, target = patients(3_000, 1)
    cox = fit_cox(inputs, target, np.array([1, 2]), (5.0, 10.0))
    assert cox.effects / cox.scale == pytest.approx([0.0, 1.0], abs=0.1)
    risk, expected = cox.risk(inputs), 1 - np.exp(-10 / 10 * inputs[:, 0])
    assert np.abs(risk[:, 1] - expected).mean() < 0.04
    assert c_index(cox.log_hazard(inputs), target[:, 0], target[:, 1] > 0) > 0.67
    hidden = inputs.copy()
    hidden[0, 2] = np.nan
    inputs[0, 2] = np.median(inputs[:, 2])
    assert cox.log_hazard(hidden)[0] == pytest.approx(cox.log_hazard(inputs)[0], abs=1e-2)


def test_the_columns_are_chosen_by_the_validation_split() -> None:
    choices = {"raw": np.array([0, 1]), "log": np.array([2]), "noise": np.array([1])}
    assert best_cox(patients(800, 2), patients(400, 3), choices, (5.0,))[0] == "log"
