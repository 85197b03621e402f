"""Measures of a task matrix, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from regimes.task_matrix import measures


def test_they_are_those_of_the_formulas() -> None:
    matrix = np.array([[0.9, 0.1, 0.2], [1.0, 0.8, 0.3], [0.5, 0.7, 0.6]])
    assert measures(matrix) == {
        "accuracy": pytest.approx((0.5 + 0.7 + 0.6) / 3),
        "forgetting": pytest.approx(((1.0 - 0.5) + (0.8 - 0.7)) / 2),
        "backward_transfer": pytest.approx(((0.5 - 0.9) + (0.7 - 0.8)) / 2),
    }


def test_what_later_tasks_improve_counts_as_forgetting_below_zero() -> None:
    found = measures(np.array([[0.5, 0.0], [0.7, 0.9]]))
    assert (found["forgetting"], found["backward_transfer"]) == (pytest.approx(-0.2), pytest.approx(0.2))


def test_one_task_has_nothing_to_forget() -> None:
    with pytest.raises(ValueError, match="nothing to forget"):
        measures(np.ones((1, 1)))
