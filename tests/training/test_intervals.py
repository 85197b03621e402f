"""Bounds against scipy, and their coverage by simulation."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from training import intervals


@pytest.mark.parametrize("seeds", [2, 5, 20])
def test_the_bounds_of_a_mean_are_those_of_a_t_test(seeds: int) -> None:
    scores = np.random.default_rng(seeds).normal(100, 20, seeds)
    low = stats.ttest_1samp(scores, 0, alternative="greater").confidence_interval(0.95).low
    high = stats.ttest_1samp(scores, 0, alternative="less").confidence_interval(0.95).high
    both = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert intervals.lower_bound(scores) == pytest.approx(low, rel=1e-12)
    assert intervals.upper_bound(scores) == pytest.approx(high, rel=1e-12)
    assert intervals.interval(scores) == pytest.approx((both.low, both.high), rel=1e-12)
    assert intervals.estimate(scores) == scores.mean()


def test_a_mean_stays_a_mean_whatever_the_number_of_seeds() -> None:
    """Two seeds of twenty collapsed: an interquartile mean would say 500."""
    scores = [500.0] * 18 + [9.0] * 2
    low = intervals.lower_bound(scores)
    assert intervals.estimate(scores) == pytest.approx(450.9)
    assert low is not None
    assert low < 400


def test_the_bound_of_seeds_that_split_one_data_set_is_nadeau_and_bengio_s() -> None:
    """Their equation 6: the variance of the mean is (1 / seeds + test / train) times that of the scores."""
    scores = np.array([0.90, 0.93, 0.91, 0.95, 0.92])
    error = scores.std(ddof=1) * np.sqrt(1 / 5 + 0.2 / 0.8)
    expected = scores.mean() - stats.t.ppf(0.95, 4) * error
    assert intervals.lower_bound(scores, resplit=0.25) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seeds", [10, 23])
def test_the_bounds_of_an_interquartile_mean_are_those_of_a_percentile_bootstrap(seeds: int) -> None:
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
    assert intervals.lower_bound(scores, "iqm") == pytest.approx(oracle("greater")[0], abs=close)
    assert intervals.upper_bound(scores, "iqm") == pytest.approx(oracle("less")[1], abs=close)
    assert intervals.interval(scores, "iqm") == pytest.approx(oracle("two-sided"), abs=2 * close)
    assert intervals.estimate(scores, "iqm") == stats.trim_mean(scores, 0.25)


@pytest.mark.parametrize(("reached", "seeds", "bound"), [(20, 20, 0.8609), (5, 5, 0.5493), (19, 20, 0.7839), (0, 5, 0)])
def test_the_bound_of_a_share_is_clopper_and_pearson_s(reached: int, seeds: int, bound: float) -> None:
    """Where all succeed it is the root of 0.05; the others are of the incomplete beta function's inverse."""
    outcomes = [1.0] * reached + [0.0] * (seeds - reached)
    assert intervals.lower_bound(outcomes, "success") == pytest.approx(bound, abs=1e-4)
    both = intervals.interval(outcomes, "success")
    assert both is not None
    assert both == pytest.approx(
        (
            stats.beta.ppf(0.025, reached, seeds - reached + 1) if reached else 0.0,
            stats.beta.ppf(0.975, reached + 1, seeds - reached) if reached < seeds else 1.0,
        )
    )


def test_the_chance_to_hold_again_is_what_other_seeds_do() -> None:
    """By simulation, with the truth drawn from what the seeds leave open (normal scores, Jeffreys' prior)."""
    scores = np.array([1.0, 3.0, 2.0, 4.0, 1.5])
    rng = np.random.default_rng(5)
    deviation = scores.std(ddof=1) * np.sqrt(4 / rng.chisquare(4, 40_000))
    mean = scores.mean() + deviation / np.sqrt(5) * rng.normal(size=40_000)
    others = mean[:, None] + deviation[:, None] * rng.normal(size=(40_000, 8))
    held = np.mean(intervals.student_quantile(others, 0.05) >= 0)
    assert intervals.chance_to_hold_again(scores, 0.0, 8) == pytest.approx(held, abs=0.01)


def test_the_chance_of_a_share_to_hold_again_is_beta_binomial() -> None:
    """19 and 18 of 20 show 70 %, 17 do not."""
    all_of_them = intervals.chance_to_hold_again([1.0] * 20, 0.7, 20, "success")
    assert all_of_them == pytest.approx(stats.betabinom.sf(17, 20, 20.5, 0.5))
    assert intervals.chance_to_hold_again([1.0] * 20, 0.7, 5, "success") == 0


def test_an_interquartile_mean_that_is_far_away_holds_again() -> None:
    scores = np.random.default_rng(0).normal(10, 1, 12)
    assert intervals.chance_to_hold_again(scores, 5.0, 12, "iqm") == 1
    assert intervals.chance_to_hold_again(scores, 15.0, 12, "iqm") == 0


def test_as_many_seeds_as_it_takes_to_hold_again() -> None:
    scores = np.array([1.0, 3.0, 2.0, 4.0, 1.5])
    seeds = intervals.seeds_to_hold_again(scores, 0.0)
    assert seeds is not None
    assert intervals.chance_to_hold_again(scores, 0.0, seeds) >= 0.95
    assert intervals.chance_to_hold_again(scores, 0.0, seeds - 1) < 0.95
    assert intervals.seeds_to_hold_again(-scores, 0.0) is None


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


def test_the_one_sided_bootstrap_bound_covers_95_percent_of_normal_samples() -> None:
    samples = np.random.default_rng(20).normal(10, 3, (1000, 20))
    bounds = intervals.bootstrap_quantile(samples, 0.05, resamples=200)
    assert np.mean(bounds <= 10) == pytest.approx(0.947, abs=0.022)  # three standard errors of 1000 samples


@pytest.mark.parametrize("of", ["mean", "iqm"])
@given(score=st.floats(-1e9, 1e9), seeds=st.integers(1, 12))
def test_what_does_not_vary_has_no_interval(of: Literal["mean", "iqm"], score: float, seeds: int) -> None:
    scores = [score] * seeds
    assert intervals.estimate(scores, of) == score
    assert intervals.lower_bound(scores, of) is None
    assert intervals.upper_bound(scores, of) is None
    assert intervals.interval(scores, of) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9).filter(lambda scores: np.ptp(scores) > 0))
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
    assert intervals.interval(scores, "iqm") == intervals.interval(scores, "iqm")
