"""Learning curves of several runs on common points: nothing is smoothed, between two points lies a straight line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from reports.comparison.records import Array, Curve, area
from reports.comparison.statistics import Figure, Statistic, estimate, figure, mean

POINTS = 50
"""Common points where the runs were not measured at the same ones."""
FRACTIONS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Of the budget, at which the score is told."""
Axis = Literal["env_steps", "seconds"]


class Band(NamedTuple):
    """A group's curve; every array is [points]. The bounds are NaN where nothing is known about them."""

    x: Array
    value: Array
    low: Array
    high: Array
    interpolated: bool
    """Whether the runs were measured at other points than these."""


class Efficiency(NamedTuple):
    """How early a group is good, on env steps up to a budget that all groups of the comparison have."""

    at: dict[float, Figure | None]
    """The score at each of `FRACTIONS` of the budget; None before the first point of a run."""
    area: Figure
    """The area under the curve divided by its length: the mean score from the first common point to the budget."""


def positions(curve: Curve, axis: Axis) -> Array:
    """Where the points of a curve are on an axis."""
    return curve.steps if axis == "env_steps" else curve.seconds


def known(curve: Curve, axis: Axis) -> Curve:
    """The points of a curve that have a place on the axis, each place once: the last value counts."""
    x = positions(curve, axis)
    keep = np.isfinite(x) & np.append(np.diff(x) > 0, np.ones(min(1, len(x)), bool))
    return Curve(*(array[keep] for array in curve))


def common_points(curves: Sequence[Curve], axis: Axis) -> tuple[Array, bool]:
    """Where all runs have a value, and whether it is interpolated: their own points where these are the same.

    No points where a curve is over before another begins.
    """
    places = [positions(curve, axis) for curve in curves]
    if all(len(place) == len(places[0]) and np.array_equal(place, places[0]) for place in places):
        return places[0], False
    begin, end = max(place[0] for place in places), min(place[-1] for place in places)
    return (np.linspace(begin, end, POINTS) if begin < end else np.empty(0)), True


def aligned(curves: Sequence[Curve], points: Array, axis: Axis) -> Array:
    """The values of runs at these points [points, runs]."""
    return np.stack([np.interp(points, positions(curve, axis), curve.values) for curve in curves], axis=-1)


def band(curves: Sequence[Curve], axis: Axis = "env_steps", statistic: Statistic = mean) -> Band | None:
    """The curve of a group in one environment with its interval over seeds; None: the runs have no common points."""
    placed = [known(curve, axis) for curve in curves]
    if not placed or not all(len(curve.steps) for curve in placed):
        return None
    points, interpolated = common_points(placed, axis)
    if not len(points):
        return None
    return Band(points, *estimate([aligned(placed, points, axis)], statistic), interpolated)


def efficiency(curves: Sequence[Curve], begin: float, budget: float) -> Efficiency | None:
    """The scores of a group at fractions of a budget, and the area under its curves; None: a run has no curve.

    Args:
        curves: of the runs of the group.
        begin: where every curve of the comparison has begun.
        budget: the env steps that every run has.
    """
    placed = [known(curve, "env_steps") for curve in curves]
    if not placed or not all(len(curve.steps) for curve in placed):
        return None
    at: dict[float, Figure | None] = {}
    for fraction in FRACTIONS:
        step = fraction * budget
        values = aligned(placed, np.array([step]), "env_steps")[0]
        at[fraction] = figure([values], mean) if step >= max(curve.steps[0] for curve in placed) else None
    areas = np.array([area(curve.steps, curve.values, begin, budget) for curve in placed])
    return Efficiency(at, figure([areas], mean))


def shared_budget(budgets: Sequence[int | None], curves: Sequence[Curve]) -> float | None:
    """The env steps that every run has: the smallest budget that was asked for, or the end of a shorter run."""
    ends = [float(curve.steps[-1]) for curve in curves if len(curve.steps)]
    asked = [float(budget) for budget in budgets if budget is not None]
    return min([*ends, *asked]) if ends else None
