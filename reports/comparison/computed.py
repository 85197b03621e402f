"""A comparison: everything that was computed, ready to be shown in any form."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from reports.comparison.curves import Band, Efficiency
from reports.comparison.statistics import Figure


@dataclass(frozen=True)
class Summary:
    """What the scores of a group say, in one environment or over all."""

    scores: dict[str, list[float]]
    """By environment, one for each seed."""
    seeds: dict[str, list[int | None]]
    mean: Figure
    median: Figure
    iqm: Figure
    optimality_gap: Figure | None
    """None where no target is known."""
    profile: dict[str, list[float]]
    """`tau`, and the share of runs above it as `value`, with `low` and `high`."""
    efficiency: Efficiency | None = None
    curves: dict[str, Band | None] = field(default_factory=dict)
    """By axis: `env_steps`, `seconds`."""
    wall_time_s: Figure | None = None
    """Of the last point of the curve."""


@dataclass(frozen=True)
class Pair:
    """Two groups, the one with the better mean first."""

    first: str
    second: str
    probability_of_improvement: Figure
    """How probably a run of the first is better than one of the second."""
    chance_of_order: float | None
    """The chance that as many other seeds have their means in this order again; None: nothing is known."""
    seeds_to_settle: int | None
    """How many other seeds each show this order with a chance of 95 %; None: not even many."""


@dataclass(frozen=True)
class Part:
    """A comparison in one environment, or over all of them on one scale."""

    groups: dict[str, Summary]
    """The best mean first."""
    pairs: list[Pair]
    target: float | None
    budget: float | None = None
    """The steps that all runs have."""
    unit: str = "env steps"
    """Of those steps."""


@dataclass(frozen=True)
class Comparison:
    """All that is computed."""

    metric: str
    at: str
    lower_is_better: bool
    tasks: dict[str, Part]
    overall: Part | None
    """Over all environments on one scale; None where no two groups share several."""
    normalized: str | None
    """What the scale of `overall` is, in words."""
    differences: dict[str, dict[str, str]]
    left_out: list[tuple[str, str]]
    remarks: list[str]

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints; arrays are lists, and numbers that are not known are null."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value
