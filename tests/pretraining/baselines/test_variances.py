"""Forecasts of variances: each finds what made the data, and none knows what comes."""

from __future__ import annotations

import numpy as np
import pytest

from pretraining.baselines.variances import gjr_garch, log_linear, moving_average
from pretraining.volatility import qlike


def garch_days(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns and their true variances, of a GARCH(1, 1) with a leverage."""
    rng, variance, found = np.random.default_rng(1), 1e-4, []
    for _ in range(count):
        shock = np.sqrt(variance) * rng.normal()
        found.append((shock, variance))
        variance = 4e-6 + (0.05 + 0.1 * (shock < 0)) * shock**2 + 0.85 * variance
    returns, variances = np.array(found).T
    return returns, variances


def test_garch_finds_a_garch_on_the_scale_of_what_is_measured() -> None:
    pytest.importorskip("arch")
    returns, variance = garch_days(1_500)
    found = gjr_garch(returns, 0.5 * variance, first=1_000, every=250)
    assert found.shape == (500,)
    assert qlike(0.5 * variance[1_000:], found).mean() < 0.02
    other = returns.copy()
    other[1_200:] = 0.1
    known = gjr_garch(other, 0.5 * variance, first=1_000, every=250)
    assert known[:200] == pytest.approx(found[:200])  # what comes later changes no forecast


def test_a_log_linear_one_is_right_in_the_mean() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3_000, 1))
    true = np.exp(0.7 * x[:, 0] - 9)
    measured = true * rng.exponential(1.0, 3_000)
    found = log_linear(x, measured, first=2_000, every=100)
    assert (found / true[2_000:]).mean() == pytest.approx(1, abs=0.1)
    measured[2_050:] *= 100
    assert log_linear(x, measured, first=2_000, every=100)[:100] == pytest.approx(found[:100])


def test_a_moving_average_sees_yesterday_and_no_more() -> None:
    found = moving_average(np.array([1.0, 1.0, 3.0, 5.0]), first=1, decay=0.5)
    assert list(found) == [1.0, 1.0, 2.0]
