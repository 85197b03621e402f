"""A log that writes nothing, for a `fit` inside of another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from training.core import Counters, Every
from training.metrics import Metrics, Reduction, add_metrics
from training.run.logger import Logger


class Silence(Logger):
    """Takes what a Logger takes, and keeps it in memory until it is asked: no folder, no rows, no clock."""

    def __init__(self) -> None:
        self.every = Every(1)
        self._measured: dict[str, Reduction] = {}

    def add(self, metrics: Metrics) -> None:
        add_metrics(self._measured, metrics)

    def write(self, now: Counters) -> None:
        """There are no rows."""

    @contextmanager
    def collecting(self) -> Iterator[None]:
        yield

    def progress(self, now: Counters) -> None:
        """Nobody watches."""

    def measured(self) -> Metrics:
        """All that was added, each metric as one."""
        return {name: reduction.metric() for name, reduction in self._measured.items()}
