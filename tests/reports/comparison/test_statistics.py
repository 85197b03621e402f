"""The aggregates are rliable's, and their intervals those of a bootstrap written anew."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reports.comparison.statistics import (
    chance_of_order,
    coverage,
    estimate,
    figure,
    iqm,
    mean,
    median_of_seeds,
    median_of_tasks,
    optimality_gap,
    probability_of_improvement,
    profile,
    seeds_to_settle,
)
from training import intervals

FIRST = np.array(
    [[1.107, 0.46, 0.61], [0.722, 0.363, 0.601], [0.6, 0.074, 0.905], [0.78, 0.412, 0.549], [0.752, 0.522, 0.527]]
)
SECOND = np.array([[-0.181, 0.622, 0.45], [0.51, -0.211, 1.06], [0.462, 0.245, 1.212], [0.382, -0.18, 0.238]])
"""[runs, tasks], and below what rliable 1.2.0 says of them: `get_interval_estimates` with 20,000 resamples for the
aggregates, `create_performance_profile` and `probability_of_improvement` with 5,000."""
STATISTICS = (mean, median_of_tasks, iqm, optimality_gap)
RLIABLE = {
    "first": (
        FIRST,
        [0.59893333, 0.6384, 0.59366667, 0.4082],
        [0.52373333, 0.548, 0.54588889, 0.33673167],
        [0.678135, 0.7686, 0.66600556, 0.47813333],
    ),
    "second": (
        SECOND,
        [0.38408333, 0.29325, 0.38116667, 0.63858333],
        [0.19225, 0.1005, 0.11033333, 0.45624583],
        [0.58066667, 0.498, 0.566, 0.81583333],
    ),
}
SEEDS = arrays(np.float64, 5, elements=st.floats(-100, 100, width=32))


@pytest.mark.parametrize("name", RLIABLE)
def test_aggregates_and_their_intervals_are_those_of_rliable(name: str) -> None:
    scores, values, lows, highs = RLIABLE[name]
    for statistic, value, low, high in zip(STATISTICS, values, lows, highs, strict=True):
        one = figure(list(scores.T), statistic)
        assert one.value == pytest.approx(value, abs=1e-8)
        # Both draw: the bounds agree as far as the draws let them.
        assert (one.low, one.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


def test_the_probability_of_improvement_is_that_of_rliable() -> None:
    one = probability_of_improvement(list(FIRST.T), list(SECOND.T))
    assert one.value == pytest.approx(0.73333333)
    assert (one.low, one.high) == (pytest.approx(0.5, abs=0.03), pytest.approx(0.91666667, abs=0.03))
    assert probability_of_improvement([np.array([1.0, 2.0])], [np.array([2.0, 3.0])]).value == 0.125  # a tie is a half


def test_the_profile_is_that_of_rliable() -> None:
    value, low, high = profile(list(FIRST.T), np.array([0.0, 0.25, 0.5, 0.75]))
    np.testing.assert_allclose(value, [1, 0.93333333, 0.73333333, 0.26666667])
    np.testing.assert_allclose(low[1:], [0.8, 0.66666667, 0.06666667], atol=0.07)
    np.testing.assert_allclose(high[1:], [1, 0.86666667, 0.46666667], atol=0.07)
    assert np.isnan([low[0], high[0]]).all(), "all runs are above 0: nothing is known about others"


def test_environments_may_have_different_numbers_of_seeds() -> None:
    few, many = np.array([0.0, 1.0]), np.array([1.0, 1.0, 2.0, 2.0])
    assert mean(few, many) == 1.0
    assert optimality_gap(few, many) == 0.25
    assert iqm(few, many) == 1.25  # of 0 1 1 1 2 2, one is cut off each end


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.permutations(range(5)))
def test_the_order_of_seeds_changes_nothing(scores: np.ndarray, order: list[int]) -> None:
    other = np.array([1.0, -3.0, 7.0])
    for statistic in (mean, iqm, median_of_seeds):
        assert figure([scores], statistic, 200) == figure([scores[order]], statistic, 200)
    assert probability_of_improvement([scores], [other]) == probability_of_improvement([scores[order]], [other])
    assert chance_of_order([scores], [other]) == chance_of_order([scores[order]], [other])


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_bounds_enclose_the_value_and_move_with_the_scores(scores: np.ndarray) -> None:
    one, moved = figure([scores], mean, 500), figure([scores + 1024], mean, 500)
    if one.low is None or one.high is None or moved.low is None:
        return
    assert one.low <= one.value <= one.high
    assert moved.low == pytest.approx(one.low + 1024, abs=1e-3)


def test_an_interval_agrees_with_a_bootstrap_written_anew() -> None:
    tasks = [np.array([1.0, 2.0, 4.0, 8.0]), np.array([10.0, 20.0, 15.0])]
    rng = np.random.default_rng(1)
    drawn = [np.mean([rng.choice(task, len(task)).mean() for task in tasks]) for _ in range(20_000)]
    one = figure(tasks, mean)
    assert (one.low, one.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.1)


def test_of_one_environment_the_interquartile_mean_has_the_interval_of_a_claim() -> None:
    scores = np.sort(np.random.default_rng(2).normal(size=12))
    one = figure([scores], iqm)
    assert (one.low, one.high) == pytest.approx(intervals.interval(scores, "iqm"))
    assert one.value == pytest.approx(intervals.estimate(scores, "iqm"))


@pytest.mark.parametrize("scores", [[500.0] * 5, [3.0]])
def test_equal_seeds_and_one_seed_have_no_interval(scores: list[float]) -> None:
    for statistic in (mean, iqm, median_of_seeds, partial(optimality_gap, target=600.0)):
        one = figure([np.array(scores)], statistic)
        assert (one.low, one.high) == (None, None)
    assert chance_of_order([np.array(scores)], [np.array(scores) - 1]) is None


def test_a_curve_has_an_interval_at_every_point() -> None:
    values = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])  # [points, seeds]
    value, low, high = estimate([values], mean)
    assert value.tolist() == [1.0, 2.0]
    assert np.isnan([low[0], high[0]]).all()
    assert low[1] < 2.0 < high[1]


def test_the_chance_of_an_order_is_that_of_simulated_seeds() -> None:
    """Over many true differences with a flat prior, orders hold again as often as they are said to."""
    rng = np.random.default_rng(3)
    said, held = [], []
    for _ in range(300):
        means = rng.uniform(-3, 3, 2)
        first, second, again, other = (rng.normal(means[place], 1, 4) for place in (0, 1, 0, 1))
        if first.mean() < second.mean():
            first, second, again, other = second, first, other, again
        said.append(chance_of_order([first], [second]))
        held.append(again.mean() > other.mean())
    assert np.mean(held) == pytest.approx(np.mean(said), abs=0.06)


def test_more_seeds_settle_what_differs_and_nothing_settles_what_does_not() -> None:
    near, far = np.array([1.0, 2.0, 3.0, 4.0]), np.array([-2.0, -1.0, 0.0, 1.0])
    needed = seeds_to_settle([near + 1], [far])
    assert needed is not None
    assert (chance_of_order([near + 1], [far], needed) or 0) >= 0.95
    assert (chance_of_order([near + 1], [far], needed - 1) or 0) < 0.95
    assert seeds_to_settle([near], [near - 0.1]) is None


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_the_coverage_of_few_seeds_is_that_of_simulated_intervals(seeds: int) -> None:
    rng = np.random.default_rng(4)
    _, low, high = estimate([rng.normal(size=(500, seeds))], mean, 2000)
    assert np.mean((low < 0) & (high > 0)) == pytest.approx(coverage(seeds), abs=0.06)
    assert coverage(1) == 0
