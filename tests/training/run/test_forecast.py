"""The forecast against runs of which everything is known, on a clock that is only counted."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.core import Budget, Counters, Every
from training.run.forecast import Forecast, Job, Outlook, jobs_left_s

Pace = Callable[[float], float]
TOLERANCE = 0.2
few = settings(max_examples=25, deadline=None)


def steady(_: float) -> float:
    return 1.0


@dataclass
class Simulated:
    """A run: what a unit of its work takes at each fraction of it, and what it measures."""

    iterations: int = 200
    step: int = 10
    begins_at: int = 0
    pace: Pace = steady
    evaluation_s: Pace = lambda _: 0.0
    collecting: float = 0.5  # of an iteration
    outlook: Outlook = field(default_factory=Outlook)
    reports: bool = False  # how far an evaluation is

    @property
    def total(self) -> int:
        return self.begins_at + self.iterations * self.step

    def errors(self, since: float = 0.1, until: float = 1.0) -> list[float]:
        """The relative errors of the estimates from a fraction of the whole time on, each of what was left then.

        Only what there is at the end of iterations is asked: the last tenth, which is seconds, is not.
        """
        forecast, at_s = Forecast(Budget(self.total), self.outlook), 100.0
        told: list[tuple[float, float | None]] = []
        now = Counters(env_steps=self.begins_at)
        for number in range(self.iterations):
            seconds = self.step * self.pace(number / self.iterations)
            forecast.collected(self.collecting * seconds)
            at_s += seconds
            before, now = now, now.advance(env_steps=self.step, updates=1)
            forecast.trained(at_s, now)
            if self.outlook.every and self.outlook.every.due(before, now):
                at_s = self.measure(forecast, at_s, self.evaluation_s(number / self.iterations), final=False)
            told.append((at_s, forecast.seconds_left(at_s)))
        for weight in self.outlook.final:
            at_s = self.measure(forecast, at_s, weight * self.evaluation_s(1.0), final=True)
            told.append((at_s, forecast.seconds_left(at_s)))
        assert forecast.seconds_left(at_s) == pytest.approx(0.0, abs=1e-6)
        whole = at_s - 100.0
        asked = [(at, left) for at, left in told if since <= (at - 100.0) / whole <= min(until, 0.9)]
        assert asked
        assert all(left is not None for _, left in asked), "nothing is known after a tenth of the work"
        return [abs(float(left or 0.0) - (at_s - at)) / (at_s - at) for at, left in asked]

    def measure(self, forecast: Forecast, at_s: float, seconds: float, *, final: bool) -> float:
        forecast.measuring(at_s, final=final)
        for fraction in (0.25, 0.5, 0.75):
            if self.reports:
                forecast.measured_so_far(fraction)
            forecast.seconds_left(at_s + fraction * seconds)
        forecast.measured(at_s + seconds)
        return at_s + seconds


@few
@given(st.floats(1e-3, 1e3), st.integers(100, 600), st.integers(0, 5000))
def test_a_steady_run_is_known_exactly_from_the_second_iteration_on(pace: float, iterations: int, at: int) -> None:
    assert max(Simulated(iterations, begins_at=at, pace=lambda _: pace).errors(since=0.02)) < 1e-6


@few
@given(st.floats(0.0, 0.04), st.floats(0.02, 20.0))
def test_a_warm_up_that_is_faster_or_slower_is_forgotten_after_a_tenth_of_the_work(part: float, times: float) -> None:
    errors = Simulated(pace=lambda at: times if at < part else 1.0)
    assert max(_after_a_tenth_of_the_work(errors)) < TOLERANCE


def test_the_first_iteration_tells_nothing_however_long_it_took() -> None:
    """A replay's whole warm-up without learning is in it, and often the compiler."""
    for times in (0.0, 50.0):
        run = Simulated(pace=lambda at, times=times: times if at == 0.0 else 1.0)
        assert max(_after_a_tenth_of_the_work(run)) < 1e-6


@few
@given(st.floats(0.01, 30.0), st.integers(2, 40), st.lists(st.floats(0.5, 10.0), min_size=1, max_size=2), st.booleans())
def test_evaluations_and_the_last_measurements_count_as_soon_as_one_is_measured(
    share: float, number: int, final: list[float], reports: bool
) -> None:
    outlook = Outlook(Every(2000 // number // 10 * 10), tuple(final))
    run = Simulated(outlook=outlook, evaluation_s=lambda _: share * 2000 / number, reports=reports)
    # From the second evaluation on; before the first nothing says how long one takes.
    assert max(run.errors(since=_time_of(run, 1.05 / number), until=0.9)) < 0.02


def test_before_the_first_evaluation_its_length_is_guessed_by_the_env_steps_it_has_and_what_they_cost() -> None:
    outlook = Outlook(Every(1000), (5.0, 5.0), work=400)
    run = Simulated(outlook=outlook, evaluation_s=lambda _: 400 * 0.5)
    assert max(run.errors(since=0.05)) < 0.02
    blind = Simulated(outlook=Outlook(Every(1000), (5.0, 5.0)), evaluation_s=lambda _: 400 * 0.5)
    assert max(blind.errors(since=0.05)) > TOLERANCE


def test_a_guess_from_samples_takes_a_third_of_what_learning_from_them_takes() -> None:
    forecast = Forecast(Budget(300, "samples"), Outlook(None, (2.0,), work=30, unit="samples"))
    for number in (1, 2):
        forecast.trained(100.0 * number, Counters(samples=100 * number))
    assert forecast.seconds_left(200.0) == pytest.approx(100.0 + 2.0 * 30 / 3)


@few
@given(st.floats(-0.3, 0.3), st.integers(1, 20))
def test_a_pace_that_drifts_by_less_than_a_third_over_the_run_stays_within_the_tolerance(drift: float, n: int) -> None:
    outlook = Outlook(Every(2000 // n), (1.0,))
    run = Simulated(pace=lambda at: 1.0 + drift * at, outlook=outlook, evaluation_s=lambda _: 1.0)
    assert max(_after_a_tenth_of_the_work(run)) < TOLERANCE


def test_a_pace_that_changes_for_good_is_forgotten_after_a_quarter_of_the_work() -> None:
    run = Simulated(pace=lambda at: 1.0 if at < 0.5 else 4.0)
    assert max(run.errors(since=_time_of(run, 0.76), until=0.9)) < 0.01


def test_of_very_many_iterations_the_newest_quarter_counts_too() -> None:
    forecast, at_s = Forecast(Budget(100_000)), 0.0
    for count in range(1, 60_001):
        at_s += 1.0 if count < 30_000 else 4.0
        forecast.trained(at_s, Counters(env_steps=count))
    assert forecast.seconds_left(at_s) == pytest.approx(4.0 * 40_000)
    assert len(forecast._points) < 1_100


@few
@given(st.integers(0, 2**32 - 1))
def test_iterations_of_very_different_length_do_not_matter(seed: int) -> None:
    rng = random.Random(seed)
    lengths = [rng.uniform(0.5, 1.5) for _ in range(400)]
    run = Simulated(400, pace=lambda at: lengths[min(399, round(400 * at))])
    # Of the very last few nobody knows better than their mean.
    assert max(run.errors(since=max(_time_of(run, 0.1), 1e-9), until=0.7)) < TOLERANCE


def test_a_resumed_run_counts_from_where_it_goes_on() -> None:
    forecast = Forecast(Budget(1000))
    for number in range(5):
        forecast.trained(10.0 * number, Counters(env_steps=900 + 10 * number))
    assert forecast.seconds_left(40.0) == pytest.approx(60.0)


def test_evaluations_in_another_unit_than_the_budget_are_counted_by_the_ratio_of_both() -> None:
    forecast = Forecast(Budget(100, "updates"), Outlook(Every(1, "epochs"), ()))
    forecast.trained(0.0, Counters(updates=1))
    forecast.trained(9.0, Counters(updates=10, epochs=1))
    forecast.measuring(9.0)
    forecast.measured(12.0)
    assert forecast.seconds_left(12.0) == pytest.approx(90.0 + 9 * 3.0)


def test_without_an_evaluation_during_training_there_is_no_best_checkpoint_to_measure() -> None:
    for every, left_s in ((Every(11), 8.0 + 2.0 * 3.0), (Every(10), 8.0 + 3.0 + 4.0 * 3.0)):
        forecast = Forecast(Budget(10), Outlook(every, (2.0, 2.0), work=3))
        forecast.trained(0.0, Counters(env_steps=1))
        forecast.collected(1.0)
        forecast.trained(1.0, Counters(env_steps=2))
        assert forecast.seconds_left(1.0) == pytest.approx(left_s)


def test_an_evaluation_that_goes_on_counts_with_what_is_left_of_it() -> None:
    forecast = Forecast(Budget(10), Outlook(Every(5), (2.0,)))
    forecast.trained(0.0, Counters(env_steps=1))
    forecast.trained(4.0, Counters(env_steps=5))
    forecast.measuring(4.0)
    assert forecast.seconds_left(4.0) == pytest.approx(5.0)  # nothing says yet how long it takes
    forecast.measured_so_far(0.5)
    assert forecast.seconds_left(7.0) == pytest.approx(3.0 + 5.0 + 6.0 + 12.0)
    forecast.measured(10.0)
    assert forecast.seconds_left(10.0) == pytest.approx(5.0 + 6.0 + 12.0)


def test_a_training_that_stopped_early_has_only_its_measurements_left() -> None:
    forecast = Forecast(Budget(1000), Outlook(Every(10), (2.0, 2.0)))
    forecast.trained(0.0, Counters(env_steps=1))
    forecast.trained(9.0, Counters(env_steps=10))
    forecast.measuring(9.0)
    forecast.measured(10.0)
    forecast.measuring(10.0, final=True)
    assert forecast.seconds_left(11.0) == pytest.approx(1.0 + 2.0)


def test_nothing_is_known_before_two_iterations() -> None:
    forecast = Forecast(Budget(10))
    assert forecast.seconds_left(0.0) is None
    forecast.trained(1.0, Counters(env_steps=1))
    assert forecast.seconds_left(1.0) is None


@few
@given(st.integers(1, 30), st.integers(1, 6), st.floats(0.1, 100.0))
def test_jobs_of_one_length_take_as_many_rounds_as_they_need(number: int, jobs: int, seconds: float) -> None:
    waiting = [Job("a", "waiting")] * number
    assert jobs_left_s(waiting, jobs) is None
    assert jobs_left_s([Job("a", "ended", seconds), *waiting], jobs) == pytest.approx(-(-number // jobs) * seconds)


def test_jobs_that_run_say_themselves_how_long_and_tell_about_those_that_wait() -> None:
    running = [Job("a", "running", 10.0, 90.0), Job("a", "running", 60.0, 40.0)]
    assert jobs_left_s([*running, Job("a", "waiting")], 2) == pytest.approx(140.0)
    assert jobs_left_s([Job("a", "running", 10.0), Job("a", "ended", 30.0)], 2) == pytest.approx(20.0)
    assert jobs_left_s([Job("b", "waiting"), Job("b", "ended", 7.0), Job("a", "ended", 100.0)], 1) == pytest.approx(7.0)
    assert jobs_left_s([], 2) == 0.0


@few
@given(st.lists(st.floats(0.8, 1.2), min_size=10, max_size=40), st.integers(1, 4))
def test_a_tenth_of_many_jobs_tells_how_long_all_of_them_take(lengths: list[float], side_by_side: int) -> None:
    first = max(1, len(lengths) // 10)
    jobs = [Job("a", "ended", seconds) for seconds in lengths[:first]] + [Job("a", "waiting")] * (len(lengths) - first)
    lanes = [0.0] * side_by_side
    for seconds in lengths[first:]:
        lanes[lanes.index(min(lanes))] += seconds
    told = jobs_left_s(jobs, side_by_side)
    assert told is not None
    assert abs(told - max(lanes)) / max(lanes) < 1.2 / 0.8 - 1 + 1e-9


def _time_of(run: Simulated, work: float) -> float:
    """The fraction of the whole time at which a fraction of the work is done, with the evaluations until then."""
    seconds, at_s, marks = 0.0, 0.0, 0
    for number in range(run.iterations):
        seconds += run.step * run.pace(number / run.iterations)
        every = run.outlook.every
        passed = (number + 1) * run.step
        if every and passed // every.count > marks:
            marks += 1
            seconds += run.evaluation_s(number / run.iterations)
        if (number + 1) / run.iterations <= work:
            at_s = seconds
    return at_s / (seconds + sum(run.outlook.final) * run.evaluation_s(1.0))


def _after_a_tenth_of_the_work(run: Simulated) -> list[float]:
    return run.errors(since=max(_time_of(run, 0.1), 1e-9))
