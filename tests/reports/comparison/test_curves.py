"""Curves on common points: nothing is smoothed, and what is interpolated is said."""

from __future__ import annotations

import numpy as np
import pytest

from reports.comparison.curves import band, common_points, efficiency, known, shared_budget
from reports.comparison.records import Curve
from tests.support.compared import curve


def test_runs_that_were_measured_at_the_same_points_keep_their_values() -> None:
    one = band([curve(10.0), curve(20.0)])
    assert one is not None
    assert not one.interpolated
    np.testing.assert_array_equal(one.x, curve(1.0).steps)
    np.testing.assert_allclose(one.value, [3.0, 6.0, 9.0, 12.0, 15.0])


def test_others_are_interpolated_where_all_have_values() -> None:
    one = band([curve(10.0), curve(10.0, points=9, every=500.0)])
    assert one is not None
    assert one.interpolated
    assert (one.x[0], one.x[-1]) == (1000.0, 4500.0)


def test_the_wall_clock_is_an_axis_where_it_is_known() -> None:
    slow = band([curve(10.0, second=60.0), curve(12.0, second=60.0)], "seconds")
    assert slow is not None
    assert slow.x[-1] == 300.0
    untold = curve(1.0)._replace(seconds=np.full(5, np.nan))
    assert band([untold, curve(1.0)], "seconds") is None


def test_of_two_values_in_one_place_the_last_counts() -> None:
    twice = Curve(np.array([1.0, 2.0, 2.0]), np.zeros(3), np.array([1.0, 5.0, 6.0]))
    assert known(twice, "env_steps").values.tolist() == [1.0, 6.0]


def test_curves_that_do_not_overlap_have_no_common_points() -> None:
    late = Curve(np.array([9000.0, 9500.0]), np.zeros(2), np.ones(2))
    assert len(common_points([curve(1.0), late], "env_steps")[0]) == 0
    assert band([curve(1.0), late]) is None


def test_efficiency_is_the_score_at_fractions_and_the_area() -> None:
    found = efficiency([curve(10.0), curve(20.0)], 1000.0, 4000.0)
    assert found is not None
    assert found.at[0.1] is None, "no run was measured so early"
    assert [one.value for one in found.at.values() if one] == pytest.approx([3.0, 6.0, 9.0, 12.0])
    assert found.area.value == pytest.approx(7.5)


def test_the_shared_budget_is_what_every_run_has() -> None:
    assert shared_budget([4000, None], [curve(1.0), curve(1.0)]) == 4000
    assert shared_budget([9000], [curve(1.0, points=3)]) == 3000
    assert shared_budget([], []) is None
