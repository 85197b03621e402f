"""What a comparison knows of one run, wherever it was read from: scores, curves, config, and what to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LAST_SHARE = 0.1
"""Of the env steps: over so many of the last ones a metric is averaged that is not measured at the end of a run."""
EVALUATION = "evaluation/"


class Curve(NamedTuple):
    """One metric of one run over time; every array is [points], and `steps` rises."""

    steps: Array
    """Env steps; updates where a run learned from data."""
    seconds: Array
    """Wall clock since the run began; NaN where the log does not tell it."""
    values: Array


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run."""

    source: str
    """The folder or file that it was read from."""
    label: str
    """Of its group, before what differs in its config: the experiment, or what the command line calls it."""
    config: Mapping[str, Any]
    """Its values by dotted key; of a foreign log only what it tells."""
    curves: Mapping[str, Curve]
    seed: int | None = None
    budget: int | None = None
    """The env steps that were asked for."""
    final: Mapping[str, float] = field(default_factory=dict)
    """What was measured once at the end."""
    best: Mapping[str, float] = field(default_factory=dict)
    """The same of the best checkpoint."""
    targets: Mapping[str, float] = field(default_factory=dict)
    """What the experiment claims to reach, by metric."""
    source_hash: str | None = None
    """Of the code that computed it; None for a foreign log."""
    hardware: str | None = None
    remarks: tuple[str, ...] = ()
    """What a reader must know to trust its numbers."""
    unit: str = "env steps"
    """Of the steps of its curves."""
    about: Mapping[str, str] = field(default_factory=dict)
    """The same of one metric."""

    @property
    def foreign(self) -> bool:
        return self.source_hash is None

    @property
    def env_steps(self) -> float | None:
        """How far it went: the budget that was asked for, else where its curves end; None: neither is known."""
        if self.budget is not None:
            return self.budget
        return max((float(curve.steps[-1]) for curve in self.curves.values()), default=None)

    @property
    def metrics(self) -> set[str]:
        """The names of all that can be compared."""
        return {*self.final, *self.curves}


class LeftOut(NamedTuple):
    """A run that is not compared, and why."""

    source: str
    why: str


def score(record: Record, metric: str, at: str, *, lower_is_better: bool = False) -> float | LeftOut:
    """The one number of a run, or why it has none.

    Args:
        record: the run.
        metric: its name, as the run's log has it.
        at: `final` or `best`.
        lower_is_better: the best point of a curve is its lowest.
    """
    measured = record.final if at == "final" else record.best
    if metric.startswith(EVALUATION) and (missing := measured.get("evaluation/episodes_left_out")):
        played = measured["evaluation/episodes"]
        return LeftOut(record.source, f"its evaluation was cut short: {played:.0f} of {played + missing:.0f} episodes")
    value = measured.get(metric)
    if value is None and metric in record.curves:
        curve = record.curves[metric]
        if at == "best":
            value = float(curve.values.min() if lower_is_better else curve.values.max())
        else:
            value = _last(curve) if metric.startswith(EVALUATION) else _at_the_end(curve)
    if value is None:
        return LeftOut(
            record.source, f"it has no {at} {metric}: there are {', '.join(sorted(record.metrics)) or 'none'}"
        )
    if not np.isfinite(value):
        return LeftOut(record.source, f"its {at} {metric} is {value}")
    return float(value)


def how_scored(record: Record, metric: str, at: str) -> str | None:
    """How a score was made of a curve, for a run that did not measure it at its end; None: it did."""
    if metric in (record.final if at == "final" else record.best) or metric not in record.curves:
        return None
    if at == "best":
        return "best: the best point of the curve, which is too good: it was chosen by what it measures"
    if metric.startswith(EVALUATION):
        return "final: its last evaluation during training, as it has none after it"
    return f"final: the mean of the curve over the last {100 * LAST_SHARE:.0f} % of its env steps"


def _last(curve: Curve) -> float:
    return float(curve.values[-1])


def _at_the_end(curve: Curve) -> float:
    """The mean over the last steps."""
    if len(curve.steps) == 1:
        return _last(curve)
    begin = max(curve.steps[0], curve.steps[-1] * (1 - LAST_SHARE))
    return area(curve.steps, curve.values, begin, curve.steps[-1])


def area(x: Array, values: Array, begin: float, end: float) -> float:
    """The area under a curve from `begin` to `end`, divided by their distance: its mean in the metric's own unit."""
    if end <= begin:
        return float(np.interp(end, x, values))
    inside = x[(x > begin) & (x < end)]
    points = np.concatenate([[begin], inside, [end]])
    return float(np.trapezoid(np.interp(points, x, values), points) / (end - begin))
