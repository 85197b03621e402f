"""Bounds against scipy, and their coverage by simulation."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from training import intervals


@pytest.mark.parametrize("seeds", [2, 3, 5, 9])
def test_below_ten_seeds_the_bounds_are_those_of_a_t_test(seeds: int) -> None:
    scores = np.random.default_rng(seeds).normal(100, 20, seeds)
    low = stats.ttest_1samp(scores, 0, alternative="greater").confidence_interval(0.95).low
    high = stats.ttest_1samp(scores, 0, alternative="less").confidence_interval(0.95).high
    both = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert intervals.lower_bound(scores) == pytest.approx(low, rel=1e-12)
    assert intervals.upper_bound(scores) == pytest.approx(high, rel=1e-12)
    assert intervals.interval(scores) == pytest.approx((both.low, both.high), rel=1e-12)
    assert intervals.estimate(scores) == scores.mean()


@pytest.mark.parametrize("seeds", [10, 23])
def test_from_ten_seeds_the_bounds_are_those_of_a_percentile_bootstrap(seeds: int) -> None:
    scores = np.random.default_rng(seeds).normal(100, 20, seeds)

    def oracle(alternative: Literal["two-sided", "less", "greater"]) -> tuple[float, float]:
        result = stats.bootstrap(  # type: ignore[call-overload]  # the stubs want one array, scipy a sequence of them
            (scores,),
            lambda drawn, axis: stats.trim_mean(drawn, 0.25, axis=axis),
            n_resamples=40_000,
            alternative=alternative,
            method="percentile",
            rng=np.random.default_rng(1),
        )
        return result.confidence_interval.low, result.confidence_interval.high

    close = 0.02 * scores.std()  # what 10,000 draws leave to chance
    assert intervals.lower_bound(scores) == pytest.approx(oracle("greater")[0], abs=close)
    assert intervals.upper_bound(scores) == pytest.approx(oracle("less")[1], abs=close)
    assert intervals.interval(scores) == pytest.approx(oracle("two-sided"), abs=2 * close)
    assert intervals.estimate(scores) == stats.trim_mean(scores, 0.25)


def test_the_interquartile_mean_has_rliable_s_values() -> None:
    """The values of rliable's own test of `aggregate_iqm`, and the rule for counts that four does not divide."""
    assert intervals.interquartile_mean(np.ravel([[1, 2], [2, 2], [1, 1], [2, 1]])) == 1.5
    assert intervals.interquartile_mean(np.ravel([[1, 1], [2, 2], [3, 3]])) == 2
    ten = [-1000.0, -50.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 70.0, 9000.0]
    assert intervals.interquartile_mean(ten) == np.mean([1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("seeds", [3, 5, 9])
def test_the_one_sided_t_bound_covers_95_percent_of_normal_samples(seeds: int) -> None:
    scores = np.random.default_rng(seeds).normal(10, 3, (200_000, seeds))
    assert np.mean(intervals.student_quantile(scores, 0.05) <= 10) == pytest.approx(0.95, abs=0.002)
    assert np.mean(intervals.student_quantile(scores, 0.95) >= 10) == pytest.approx(0.95, abs=0.002)


@pytest.mark.parametrize("seeds", [10, 20])
def test_the_one_sided_bootstrap_bound_covers_95_percent_of_normal_samples(
    seeds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 1000)
    samples = np.random.default_rng(seeds).normal(10, 3, (4, 500, seeds))
    bounds = np.stack([intervals.bootstrap_quantile(scores, 0.05) for scores in samples])
    assert np.mean(bounds <= 10) == pytest.approx(0.947, abs=0.015)  # three standard errors of 2000 samples


def test_one_seed_has_no_interval() -> None:
    assert intervals.lower_bound([3.0]) is None
    assert intervals.upper_bound([3.0]) is None
    assert intervals.interval([3.0]) is None
    assert intervals.estimate([3.0]) == 3.0


@given(st.floats(-1e9, 1e9), st.integers(2, 12))
def test_equal_scores_are_their_own_bounds_to_the_bit(score: float, seeds: int) -> None:
    scores = [score] * seeds
    assert intervals.lower_bound(scores) == intervals.estimate(scores) == intervals.upper_bound(scores) == score


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_bounds_surround_the_estimate_and_mirror_each_other(scores: list[float]) -> None:
    low, high = intervals.lower_bound(scores), intervals.upper_bound(scores)
    both = intervals.interval(scores)
    assert low is not None
    assert high is not None
    assert both is not None
    assert both[0] <= low <= intervals.estimate(scores) <= high <= both[1]
    assert intervals.upper_bound([-score for score in scores]) == pytest.approx(-low, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")], [1.0, float("inf")], [[1.0, 2.0]]])
def test_scores_that_are_no_numbers_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        intervals.lower_bound(scores)


def test_the_bootstrap_is_the_same_every_time() -> None:
    scores = np.random.default_rng(0).normal(size=12)
    assert intervals.interval(scores) == intervals.interval(scores)
