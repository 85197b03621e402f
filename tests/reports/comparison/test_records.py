"""One number of one run: what it measured at its end, or what its curve says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.comparison.records import Curve, LeftOut, area, how_scored, score
from tests.support.compared import METRIC, curve, record


def test_what_was_measured_at_the_end_is_the_score() -> None:
    one = record("one", 400.0, 1)
    assert (score(one, METRIC, "final"), score(one, METRIC, "best")) == (400.0, 401.0)
    assert how_scored(one, METRIC, "final") is None


def test_without_it_the_last_evaluation_counts_and_of_training_the_last_tenth() -> None:
    line = Curve(np.array([0.0, 100.0]), np.array([0.0, 1.0]), np.array([0.0, 100.0]))
    one = record("one", 400.0, 1, final={}, best={}, curves={METRIC: line, "rollout/return_mean": line})
    assert score(one, METRIC, "final") == 100.0
    assert score(one, "rollout/return_mean", "final") == pytest.approx(95.0)
    assert (score(one, METRIC, "best"), score(one, METRIC, "best", lower_is_better=True)) == (100.0, 0.0)
    assert "last 10 %" in (how_scored(one, "rollout/return_mean", "final") or "")
    assert "too good" in (how_scored(one, METRIC, "best") or "")


@pytest.mark.parametrize(
    ("final", "why"),
    [
        ({METRIC: math.nan}, "is nan"),
        ({METRIC: 1.0, "evaluation/episodes": 20.0, "evaluation/episodes_left_out": 80.0}, "20 of 100 episodes"),
    ],
)
def test_what_is_no_fair_score_is_left_out(final: dict[str, float], why: str) -> None:
    found = score(record("one", 1.0, 1, final=final), METRIC, "final")
    assert isinstance(found, LeftOut)
    assert why in found.why


def test_a_metric_that_is_not_there_names_those_that_are() -> None:
    found = score(record("one", 1.0, 1), "loss", "final")
    assert isinstance(found, LeftOut)
    assert METRIC in found.why


def test_the_area_of_a_line_is_its_middle() -> None:
    line = curve(5.0)
    assert area(line.steps, line.values, 1000, 5000) == pytest.approx(3.0)
    assert area(line.steps, line.values, 2500, 2500) == pytest.approx(2.5)


def test_how_far_a_run_went() -> None:
    assert record("one", 1.0, 1).env_steps == 5000
    assert record("one", 1.0, 1, budget=None, curves={METRIC: curve(1.0, points=3)}).env_steps == 3000
    assert record("one", 1.0, 1, budget=None, curves={}).env_steps is None
