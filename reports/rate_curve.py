"""The learning-rate range test (Smith 2017, https://arxiv.org/abs/1506.01186, section 3.3): the rate grows by the same
factor in every update of one short run; the loss falls fastest a little before the best rate and rises beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from training.core import Every
from training.errors import UserError, require
from training.optimizer import Schedule
from training.optimizer.config import optimizers_of
from training.run.logger import read_rows

SMOOTHING = 0.9
"""Of the loss: how much of the mean so far is kept at each update."""
DIVERGED = 4.0
"""Times the lowest loss, counted from the first: what comes after is no part of the curve."""
EDGE = 0.05
"""The part of the curve at its begin that no rate is suggested from: the mean is of too few losses there."""


@dataclass(frozen=True)
class RateRangeOptions:
    """The rates that are tried."""

    lowest: float = 1e-6
    highest: float = 1.0
    updates: int = 200

    def __post_init__(self) -> None:
        require(self.lowest > 0, "lowest", self.lowest, "above 0")
        require(self.lowest < self.highest < math.inf, "highest", self.highest, f"above lowest = {self.lowest:g}")
        require(self.updates >= 20, "updates", self.updates, "at least 20")


class RateCurve(NamedTuple):
    """The smoothed loss at each rate, up to where it diverges."""

    rates: list[float]
    losses: list[float]

    @property
    def suggested(self) -> float:
        """A third of the rate at which the loss is lowest, for the highest rate of a whole run.

        The common rule, a tenth, is too careful where the rate is only reached in the middle of a cycle.
        """
        begins = math.ceil(EDGE * len(self.rates))
        lowest = min(range(begins, len(self.losses)), key=self.losses.__getitem__)
        return self.rates[lowest] / 3.0


def with_rate_range(config: Any, options: RateRangeOptions) -> Any:
    """The config of an experiment that learns from data, as a range test: one optimizer, all else as it is.

    Raises UserError for an experiment with another budget than gradient steps, or with several optimizers.
    """
    if not hasattr(config, "steps"):
        raise UserError("a range test takes an experiment that learns from data, whose budget may be gradient steps")
    own = optimizers_of(config.algorithm_config)
    if len(own) != 1:
        raise UserError(f"a range test takes an algorithm with one optimizer, not {', '.join(own) or 'none'}")
    ((name, optimizer),) = own.items()
    rises = Schedule("exponential", final=options.highest / options.lowest)
    tested = replace(optimizer, learning_rate=options.lowest, schedule=rises, on_non_finite="skip")
    never = Every(options.updates + 1, "updates")
    return replace(
        config,
        **{config.algorithm_field: replace(config.algorithm_config, **{name: tested})},
        epochs=None,
        steps=options.updates,
        patience=None,
        log_every=Every(1, "updates"),
        evaluation=replace(config.evaluation, every=never),
        checkpoint=replace(config.checkpoint, every=never),
    )


def read_curve(folder: Path, name: str = "optimizer") -> RateCurve:
    """The curve of a run of such a config."""
    rows = [row for row in read_rows(folder / "metrics.jsonl") if f"{name}/loss" in row]
    return smoothed([row[f"{name}/learning_rate"] for row in rows], [row[f"{name}/loss"] for row in rows])


def smoothed(rates: Sequence[float], losses: Sequence[float]) -> RateCurve:
    """An exponential mean of the losses without the bias of its begin, up to where they diverge."""
    kept: list[float] = []
    mean = 0.0
    for number, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1.0 - SMOOTHING) * loss
        value = mean / (1.0 - SMOOTHING**number)
        if not math.isfinite(value) or (kept and value - min(kept) > DIVERGED * (abs(kept[0]) + 1e-12)):
            break
        kept.append(value)
    return RateCurve(list(rates[: len(kept)]), kept)
