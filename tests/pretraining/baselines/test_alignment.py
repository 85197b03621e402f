"""Alignment gives one domain the mean and the covariance of the other, and labels that go with them."""

from __future__ import annotations

import numpy as np
import pytest

from pretraining.baselines import alignment
from pretraining.baselines.alignment import aligned
from pretraining.baselines.linear import Arrays, tuned


def test_the_mean_and_the_covariance_are_those_of_the_other_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "ADDED", 1e-9)
    rng = np.random.default_rng(0)
    one = Arrays(rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3)) + 5, np.zeros(500, np.int64))
    other = Arrays(rng.normal(size=(400, 3)) @ rng.normal(size=(3, 3)) - 2, np.zeros(400, np.int64))
    moved, _, test = aligned([one, one, other], other)
    assert test is other
    np.testing.assert_allclose(moved.inputs.mean(0), other.inputs.mean(0))
    np.testing.assert_allclose(*(np.cov(part.inputs, rowvar=False) for part in (moved, other)), rtol=1e-4)


def test_a_model_of_a_scaled_domain_reads_the_other() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    target = (x[:, 0] > x[:, 1]).astype(np.int64)
    here = Arrays(x[:200], target[:200]), Arrays(x[200:300], target[200:300])
    there = x * [5.0, 1.0] + [30.0, -4.0]
    test, seen = Arrays(there[300:450], target[300:450]), Arrays(there[450:], target[450:])
    grid = [{"model__C": [1.0]}]
    plain, moved = (
        tuned(LogisticRegression(), grid, parts, score="accuracy").measures["accuracy"]
        for parts in ([*here, test], aligned([*here, test], seen))
    )
    assert plain < 0.7 < 0.85 < moved
