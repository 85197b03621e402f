"""What a survival model is judged by: its order of patients, its risks against what came, what acting on them brings.

All of it takes the censored into account: those who were last seen before the horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def c_index(score: Floats, time: Floats, event: Flags) -> float:
    """Of all pairs of which it is known who had the event first, the share in which that one has the higher score;
    equal scores count half (Harrell 1982). 0.5 where there is no such pair."""
    first = event[:, None] & (time[:, None] < time[None, :])  # the row had it, the column was still without
    # At one time an event comes before a censoring.
    first |= event[:, None] & ~event[None, :] & (time[:, None] == time[None, :])
    pairs = int(first.sum())
    if not pairs:
        return 0.5
    higher, equal = score[:, None] > score[None, :], score[:, None] == score[None, :]
    return float((first & higher).sum() + 0.5 * (first & equal).sum()) / pairs


def kaplan_meier(time: Floats, event: Flags, at: float) -> float:
    """The share without the event at `at` (Kaplan and Meier 1958)."""
    alive = 1.0
    for moment in np.unique(time[event & (time <= at)]):
        alive *= 1 - float((event & (time == moment)).sum()) / float((time >= moment).sum())
    return alive


def baseline_hazard(log_hazard: Floats, time: Floats, event: NDArray[np.number], at: Sequence[float]) -> Floats:
    """The cumulative hazard of a patient with log hazard 0 at each time of `at` (Breslow 1974)."""
    order = np.argsort(-time, kind="stable")
    at_risk, t, had = np.exp(log_hazard[order]).cumsum(), time[order], event[order] > 0
    moments, events = np.unique(t[had], return_counts=True)
    # Of equal times all are at risk: the last in this order.
    risk = at_risk[np.searchsorted(-t, -moments, side="right") - 1]
    steps = np.concatenate([[0.0], (events / risk).cumsum()])
    return np.asarray(steps[np.searchsorted(moments, np.asarray(at), side="right")])


class Calibration(NamedTuple):
    """Groups of patients of rising risk: what was foretold, and what came; all are [groups]."""

    foretold: Floats
    came: Floats
    patients: NDArray[np.int64]
    overall: float
    """What came of all of them."""

    @property
    def error(self) -> float:
        """The mean distance, weighted by the patients."""
        return float((np.abs(self.foretold - self.came) * self.patients).sum() / self.patients.sum())

    @property
    def expected_over_observed(self) -> float:
        """1 where as many events are foretold as came; above 1 too many are."""
        return float((self.foretold * self.patients).sum() / self.patients.sum() / max(self.overall, 1e-12))


def calibration(risk: Floats, time: Floats, event: Flags, at: float, groups: int = 5) -> Calibration:
    """Risks [S] of the event by `at` in groups of as many patients, against one minus Kaplan and Meier's estimate."""
    parts = [part for part in np.array_split(np.argsort(risk, kind="stable"), groups) if len(part)]
    foretold = np.array([risk[part].mean() for part in parts])
    came = np.array([1 - kaplan_meier(time[part], event[part], at) for part in parts])
    patients = np.array([len(part) for part in parts])
    return Calibration(foretold, came, patients, 1 - kaplan_meier(time, event, at))


def net_benefit(risk: Floats, time: Floats, event: Flags, at: float, thresholds: Sequence[float]) -> Floats:
    """Of treating who has a risk of at least each threshold [T]: true positives less false ones at their exchange rate,
    by patient (Vickers and Elkin 2006; with censoring Vickers et al. 2008)."""
    found = []
    for threshold in thresholds:
        treated = risk >= threshold
        share = float(treated.mean())
        came = 1 - kaplan_meier(time[treated], event[treated], at) if treated.any() else 0.0
        found.append(share * came - share * (1 - came) * threshold / (1 - threshold))
    return np.array(found)
