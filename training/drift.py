"""ADWIN: a window over a stream that grows while the mean stays what it was, and is cut when it has changed.

Bifet and Gavalda 2007, Learning from time-changing data with adaptive windowing, section 4 (ADWIN2): buckets of 1, 2,
4, ... values, a few of each size, hold an estimate of the window in logarithmic memory; the cut is their equation 3.1
(normal approximation). An alarm is false with a probability of about `delta` for each look. Values are taken one after
the other and must not depend on each other: of episodes feed one number each, such as the return.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.errors import UserError, require
from training.state import State

Side = Literal["both", "up", "down"]


@dataclass(frozen=True)
class AdwinConfig:
    """When it looks, and how sure it is."""

    delta: float = 0.002
    """Smaller: fewer false alarms, later true ones."""
    clock: int = 32
    """Values between two looks."""
    most_buckets: int = 5
    """Of each size."""
    least_window: int = 5
    """Values on both sides of a cut."""
    grace: int = 10
    """Values before the first look."""
    side: Side = "both"
    """Whether a mean that rose (`up`) or fell (`down`) is an alarm. An error that falls is the learner's own progress;
    the window is cut all the same."""

    def __post_init__(self) -> None:
        require(0 < self.delta < 1, "delta", self.delta, "a probability between 0 and 1")
        for name in ("clock", "most_buckets", "least_window"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.grace >= 0, "grace", self.grace, "at least 0")


class Adwin:
    """Takes numbers by `add`, which says whether their mean has changed; a part of a run that resumes to the bit."""

    def __init__(self, config: AdwinConfig = AdwinConfig()) -> None:
        self._config = config
        # By the size of the buckets, 2 ** row; of each row the oldest bucket first: its sum and its squared deviations.
        self._rows: list[list[tuple[float, float]]] = [[]]
        self._width, self._total, self._squares, self._seen = 0, 0.0, 0.0, 0

    @property
    def width(self) -> int:
        """How many of the last values are alike, as far as can be told."""
        return self._width

    @property
    def mean(self) -> float:
        """Of these values."""
        return self._total / self._width if self._width else 0.0

    def add(self, value: float) -> bool:
        """True where the mean of the values has changed. Raises UserError for a value that is not finite."""
        if not math.isfinite(value):
            raise UserError(f"value = {value!r}: a drift detector takes finite numbers")
        if self._width:
            self._squares += self._width * (value - self.mean) ** 2 / (self._width + 1)
        self._width, self._total, self._seen = self._width + 1, self._total + value, self._seen + 1
        self._rows[0].append((value, 0.0))
        self._compress()
        if self._seen % self._config.clock or self._width <= self._config.grace:
            return False
        return self._shrink()

    def state_dict(self) -> State:
        buckets = [bucket for row in self._rows for bucket in row]
        return {
            "counts": np.array([len(row) for row in self._rows], np.int64),
            "buckets": np.array(buckets, np.float64).reshape(-1, 2),
            "window": np.array([self._total, self._squares], np.float64),
            "width": self._width,
            "seen": self._seen,
        }

    def load_state_dict(self, state: State) -> None:
        ends = np.cumsum(np.asarray(state["counts"]))
        parts = np.split(np.asarray(state["buckets"]), ends[:-1])
        self._rows = [[(float(total), float(squares)) for total, squares in part] for part in parts]
        self._total, self._squares = map(float, state["window"])
        self._width, self._seen = int(state["width"]), int(state["seen"])

    def _compress(self) -> None:
        """Two of too many buckets of a size become one of the next."""
        row = 0
        while len(self._rows[row]) > self._config.most_buckets:
            if row + 1 == len(self._rows):
                self._rows.append([])
            (one, squares), (other, more) = self._rows[row].pop(0), self._rows[row].pop(0)
            size = 2**row
            between = (one / size - other / size) ** 2 * size / 2
            self._rows[row + 1].append((one + other, squares + more + between))
            row += 1

    def _shrink(self) -> bool:
        """Drops the oldest buckets while two parts of the window differ; whether that is an alarm."""
        alarm = False
        while (rise := self._first_difference()) is not None:
            alarm |= self._config.side == "both" or (rise > 0) == (self._config.side == "up")
            self._drop_oldest()
        return alarm

    def _first_difference(self) -> float | None:
        """By how much the mean rose at the oldest place where it did more than by chance; None: nowhere."""
        config, width = self._config, self._width
        before, total = 0, 0.0
        log = math.log(2.0 * math.log(width) / config.delta) if width > 1 else 0.0
        variance = self._squares / width
        for size, bucket in self._from_oldest():
            before, total = before + size, total + bucket
            after = width - before
            if after < config.least_window:
                return None
            if before < config.least_window:
                continue
            rise = (self._total - total) / after - total / before
            parts = 1.0 / (before - config.least_window + 1) + 1.0 / (after - config.least_window + 1)
            if abs(rise) > math.sqrt(2.0 * parts * variance * log) + 2.0 / 3.0 * parts * log:
                return rise
        return None

    def _from_oldest(self) -> Iterator[tuple[int, float]]:
        for row in reversed(range(len(self._rows))):
            for total, _ in self._rows[row]:
                yield 2**row, total

    def _drop_oldest(self) -> None:
        row = len(self._rows) - 1
        size, (total, squares) = 2**row, self._rows[row].pop(0)
        self._width, self._total = self._width - size, self._total - total
        if self._width:
            apart = (total / size - self.mean) ** 2
            self._squares -= squares + apart * size * self._width / (size + self._width)
        self._squares = max(0.0, self._squares) if self._width else 0.0
        while len(self._rows) > 1 and not self._rows[-1]:
            self._rows.pop()
