"""Measures of survival: by hand, and by what must hold."""

from __future__ import annotations

import numpy as np
import pytest

from pretraining.survival_measures import baseline_hazard, c_index, calibration, kaplan_meier, net_benefit

TIME = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
EVENT = np.array([True, True, False, False, True])


def test_the_c_index_counts_the_pairs_of_which_it_is_known_who_was_first() -> None:
    # Known are: 0 before 1, 2, 3, 4; 1 before 2 (censored at the same time), 3, 4.
    assert c_index(np.array([5.0, 4.0, 3.0, 2.0, 1.0]), TIME, EVENT) == 1.0
    assert c_index(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), TIME, EVENT) == 0.0
    assert c_index(np.zeros(5), TIME, EVENT) == 0.5
    assert c_index(np.array([5.0, 1.0, 3.0, 0.0, 2.0]), TIME, EVENT) == pytest.approx(5 / 7)
    assert c_index(np.zeros(2), np.ones(2), np.zeros(2, np.bool_)) == 0.5


def test_kaplan_and_meier_by_hand() -> None:
    assert kaplan_meier(TIME, EVENT, 0.5) == 1.0
    assert kaplan_meier(TIME, EVENT, 1.0) == pytest.approx(4 / 5)
    assert kaplan_meier(TIME, EVENT, 3.5) == pytest.approx(4 / 5 * 3 / 4)
    assert kaplan_meier(TIME, EVENT, 9.0) == 0.0


def test_the_baseline_hazard_by_hand() -> None:
    hazard = baseline_hazard(np.zeros(5), TIME, EVENT, [0.5, 1.0, 2.5, 9.0])
    assert hazard == pytest.approx([0, 1 / 5, 1 / 5 + 1 / 4, 1 / 5 + 1 / 4 + 1])
    f = np.array([0.1, -0.3, 0.5, 0.0, 1.0])
    assert baseline_hazard(f, TIME, EVENT, [1.0])[0] == pytest.approx(1 / np.exp(f).sum())


def test_true_risks_are_calibrated_and_too_high_ones_are_told() -> None:
    rng = np.random.default_rng(0)
    rate = np.exp(rng.normal(size=4_000) - 2)
    time, seen = rng.exponential(1 / rate), rng.uniform(0, 12, 4_000)
    observed, event = np.minimum(time, seen), time <= seen
    risk = 1 - np.exp(-5 * rate)
    right, doubled = (calibration(one, observed, event, 5.0) for one in (risk, np.minimum(1.5 * risk, 1)))
    assert right.error < 0.03
    assert right.expected_over_observed == pytest.approx(1, abs=0.05)
    assert doubled.expected_over_observed > 1.2
    assert doubled.error > 0.1
    assert list(np.sort(right.came)) == list(right.came)


def test_net_benefit_of_everybody_and_nobody() -> None:
    time, event = np.array([1.0, 1.0, 9.0, 9.0]), np.array([True, True, False, False])
    perfect, everybody, nobody = np.array([1.0, 1, 0, 0]), np.ones(4), np.zeros(4)
    assert net_benefit(perfect, time, event, 5.0, [0.2, 0.5]) == pytest.approx([0.5, 0.5])
    assert net_benefit(everybody, time, event, 5.0, [0.2, 0.5]) == pytest.approx([0.5 - 0.5 / 4, 0.0])
    assert net_benefit(nobody, time, event, 5.0, [0.2]) == pytest.approx([0.0])
