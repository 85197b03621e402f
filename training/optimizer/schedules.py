"""Schedules: multipliers that depend on how far a run has come, and on nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from training.core import Budget, Counters, Unit
from training.errors import UserError, require


@dataclass(frozen=True)
class Schedule:
    """A multiplier of a rate: it rises from 0 to 1 while warming up, then falls to `final`, then stays there.

    `constant` stays at 1 and `steps` jumps; neither uses `final`. `exponential` changes by the same factor all the
    time, and may rise. `one_cycle` (Smith 2018, https://arxiv.org/abs/1803.09820) rises from 1/25 in its warm-up and
    then falls, both along a cosine. A resumed run needs nothing restored: the counters are enough.
    """

    kind: Literal["constant", "linear", "cosine", "steps", "exponential", "one_cycle"] = "constant"
    final: float = 0.0
    """The multiplier at the end."""
    warmup: float = 0.0
    """The fraction of `over` in which the multiplier rises linearly from 0; 0: starts at 1."""
    over: int | None = None
    """The length, warm-up included, in `unit`; None: the run's whole budget."""
    unit: Unit | None = None
    """What is counted; None: the budget's unit."""
    steps: tuple[tuple[float, float], ...] = ()
    """For `steps`: the fraction of `over`, warm-up included, from which the multiplier is which; before the first 1."""

    def __post_init__(self) -> None:
        require(0.0 <= self.final < math.inf, "final", self.final, "a finite number of at least 0")
        require(0.0 <= self.warmup < 1.0, "warmup", self.warmup, "a fraction in [0, 1)")
        require(self.over is None or self.over >= 1, "over", self.over, "at least 1, or None")
        cycles = self.kind != "one_cycle" or self.warmup > 0
        require(cycles, "warmup", self.warmup, "a fraction above 0 for one_cycle, such as 0.3")
        grows = self.kind != "exponential" or self.final > 0
        require(grows, "final", self.final, "a number above 0 for exponential")

        fractions = [fraction for fraction, _ in self.steps]
        ascending = all(0.0 < fraction < 1.0 for fraction in fractions) and fractions == sorted(set(fractions))
        require(ascending, "steps", self.steps, "fractions in (0, 1) that rise, each with a multiplier")
        finite = all(0.0 <= multiplier < math.inf for _, multiplier in self.steps)
        require(finite, "steps", self.steps, "multipliers that are finite and at least 0")
        takes = "at least one for the kind 'steps', and none for another"
        require(bool(self.steps) == (self.kind == "steps"), "steps", self.steps, takes)

    def multiplier(self, now: Counters, until: Budget) -> float:
        """The multiplier at `now` in a run with the budget `until`.

        Raises UserError when the length is the whole budget but `unit` is not the budget's.
        """
        unit = self.unit or until.unit
        if self.over is None and unit != until.unit:
            raise UserError(
                f"schedule.over = None: the run's budget counts {until.unit}, so a schedule in {unit} needs its length"
            )
        spent = min(1.0, now.count(unit) / (self.over or until.count))
        if spent < self.warmup:
            risen = spent / self.warmup
            return _along_cosine(1 / 25, 1.0, risen) if self.kind == "one_cycle" else risen
        if self.kind == "constant":
            return 1.0
        if self.kind == "steps":
            return next((multiplier for fraction, multiplier in reversed(self.steps) if spent >= fraction), 1.0)
        decayed = (spent - self.warmup) / (1.0 - self.warmup)
        if self.kind == "linear":
            return 1.0 + (self.final - 1.0) * decayed
        if self.kind == "exponential":
            return float(self.final**decayed)
        return _along_cosine(1.0, self.final, decayed)


def _along_cosine(begin: float, end: float, part: float) -> float:
    return end + (begin - end) * 0.5 * (1.0 + math.cos(math.pi * part))
