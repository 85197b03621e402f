"""A comparison as a whole: what is computed for each environment and over all."""

from __future__ import annotations

import random

import numpy as np
import pytest

from reports.comparison.comparing import compare
from reports.comparison.groups import group
from tests.support.compared import METRIC, SCORES, comparison, curve, record


def test_an_environment_has_groups_pairs_profiles_and_curves() -> None:
    found = comparison({"CartPole-v1": SCORES})
    part = found.tasks["CartPole-v1"]
    assert list(part.groups) == ["one", "two"], "the best mean first"
    one = part.groups["one"]
    assert one.mean.value == pytest.approx(465.0)
    assert one.median.value == 470.0
    assert one.curves["env_steps"] is not None
    assert one.efficiency is not None
    assert one.wall_time_s is not None
    assert one.wall_time_s.value == 50.0
    (pair,) = part.pairs
    assert (pair.first, pair.second) == ("one", "two")
    assert pair.probability_of_improvement.value == 1.0
    assert pair.chance_of_order is not None
    assert pair.chance_of_order > 0.95
    assert found.overall is None
    assert any("5 seeds are few" in remark for remark in found.remarks)


def test_the_order_of_runs_changes_no_number() -> None:
    records = [record(name, score, seed) for name, several in SCORES.items() for seed, score in enumerate(several)]
    found = compare(group(records, METRIC, "final"), metric=METRIC)
    random.Random(1).shuffle(records)
    again = compare(group(records, METRIC, "final"), metric=METRIC)
    for name, summary in found.tasks["CartPole-v1"].groups.items():
        other = again.tasks["CartPole-v1"].groups[name]
        assert (summary.mean, summary.iqm, summary.efficiency) == (other.mean, other.iqm, other.efficiency)
        np.testing.assert_array_equal(summary.profile["low"], other.profile["low"])
    assert found.tasks["CartPole-v1"].pairs == again.tasks["CartPole-v1"].pairs


def test_equal_seeds_are_said_to_have_no_interval() -> None:
    found = comparison({"CartPole-v1": {"one": [500.0] * 3, "two": [1.0]}})
    assert found.tasks["CartPole-v1"].groups["one"].mean == (500.0, None, None)
    assert any("500 on each of 3 seeds" in remark for remark in found.remarks)
    assert any("two is one seed" in remark for remark in found.remarks)


def test_the_target_is_asked_for_or_what_the_experiment_claims() -> None:
    runs = [record("one", score, seed, targets={METRIC: 475.0}) for seed, score in enumerate(SCORES["one"])]
    claimed = compare(group(runs, METRIC, "final"), metric=METRIC).tasks["CartPole-v1"]
    assert claimed.target == 475.0
    gap = claimed.groups["one"].optimality_gap
    assert gap is not None
    assert gap.value == pytest.approx(np.mean([0, 0, 55, 5, 20]))
    asked = compare(group(runs, METRIC, "final"), metric=METRIC, target=500.0).tasks["CartPole-v1"]
    assert asked.groups["one"].optimality_gap is not None
    assert asked.target == 500.0


def test_where_lower_is_better_the_order_and_the_gap_turn() -> None:
    part = comparison({"Data": {"one": [3.0, 4.0], "two": [1.0, 2.5]}}, lower_is_better=True, target=2.0).tasks["Data"]
    assert list(part.groups) == ["two", "one"]
    assert part.pairs[0].first == "two"
    assert part.pairs[0].probability_of_improvement.value == 1.0
    gaps = [summary.optimality_gap for summary in part.groups.values()]
    assert [gap.value for gap in gaps if gap] == pytest.approx([0.25, 1.5])


def test_over_all_environments_scores_are_on_one_scale_with_one_stratum_each() -> None:
    tasks = {"CartPole-v1": SCORES, "Acrobot-v1": {"one": [-80.0, -90.0], "two": [-100.0, -300.0]}}
    found = comparison(tasks, normalize=["CartPole-v1=0,500", "Acrobot-v1=-500,0"])
    assert found.overall is not None
    one = found.overall.groups["one"]
    assert one.scores["Acrobot-v1"] == pytest.approx([0.84, 0.82])
    assert one.mean.value == pytest.approx((0.93 + 0.83) / 2)
    assert found.overall.target == 1.0
    partly = comparison({**tasks, "Acrobot-v1": {"one": [-80.0, -90.0]}})
    assert partly.overall is not None
    assert list(partly.overall.groups) == ["one"]
    assert any("without two" in remark for remark in partly.remarks)


def test_a_group_without_a_common_time_is_said_to_have_no_curve_over_the_wall_clock() -> None:
    late = curve(1.0)._replace(seconds=np.arange(1000.0, 1005.0))
    records = [record("one", 1.0, 1), record("one", 2.0, 2, curves={METRIC: late})]
    found = compare(group(records, METRIC, "final"), metric=METRIC)
    assert found.tasks["CartPole-v1"].groups["one"].curves["seconds"] is None
    assert any("no curve over the wall clock" in remark for remark in found.remarks)
