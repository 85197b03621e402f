"""The one logging layer: reduces metrics to rows of `metrics.jsonl`, the authoritative record of a run.

A row of `metrics.jsonl` is a JSON object: the counters `env_steps`, `updates`, `samples`, `epochs`, then the metrics
measured since the row before, in alphabetical order. Equal runs write equal bytes, so wall-clock values have a file of
their own, `timing.jsonl`, with one row for each row of metrics. JSON has no numbers that are not finite: they are the
strings "nan", "inf" and "-inf", so that `float` reads every value; `read_rows` does.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from training.core import Budget, Counters, Every, Unit
from training.energy.account import in_row
from training.errors import UserError
from training.metrics import Metrics, Reduction, add_metrics, read
from training.run import files
from training.run.clock import Clock
from training.run.console import Console
from training.run.forecast import Forecast, Outlook
from training.run.progress import INTERVAL_S, Progress, remove_progress, write_progress
from training.run.tracker import Tracker
from training.state import State

COUNTERS = tuple(asdict(Counters()))
_WORK: tuple[Unit, ...] = ("env_steps", "samples")


class Logger:
    """Collects metrics between two rows, writes each row to the run folder and shows it to tracker and console.

    Args:
        folder: where `metrics.jsonl` and `timing.jsonl` are; both start empty unless a state is loaded.
        every: how often the loop should write a row.
        until: the budget of the run, for the ETA.
        outlook: what else will take time.
        tracker: copies the files elsewhere; no row waits for it.
        console: shows the newest values to the user.
        clock: the times of the run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every: Every,
        until: Budget,
        tracker: Tracker | None,
        console: Console | None,
        clock: Clock,
        outlook: Outlook | None = None,
    ) -> None:
        self.every = every
        self.latest: dict[str, float] = {}
        """The value of every metric in the newest row that has it."""
        self._folder = folder
        self._forecast = Forecast(until, outlook)
        self._doing, self._told_at = "", -math.inf
        self._tracker = tracker
        self._console = console
        self._pending: dict[str, Reduction] = {}
        self._metrics = _Rows(folder / "metrics.jsonl")
        self._timing = _Rows(folder / "timing.jsonl")
        self._clock = clock
        self._row_before: tuple[float, Counters] | None = None

    def add(self, metrics: Metrics) -> None:
        """Takes what one step measured. Values on an accelerator stay there: nothing waits for it until `write`.

        Raises ValueError for a tensor with dimensions, for one name with two kinds of metric or that of a counter.
        """
        if named := metrics.keys() & set(COUNTERS):
            raise ValueError(f"a metric cannot be named {min(named)!r}: every row has a counter of that name")
        add_metrics(self._pending, metrics)

    def write(self, now: Counters) -> None:
        """Writes what was added since the row before as one row. Nothing added: no row."""
        values = read(self._pending)
        self._pending.clear()
        if not values:
            return
        # Timing first: who reads the files while they grow finds the timing of every row of metrics.
        self._timing.append(asdict(now) | self._measure_timing(now))
        self._metrics.append(asdict(now) | values)
        self.latest |= values
        if self._tracker:
            self._tracker.follow()
        if self._console:
            self._console.update(self._forecast, self.latest)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Around the making of a batch."""
        began_s = time.monotonic()
        yield
        self._forecast.collected(time.monotonic() - began_s)

    def progress(self, now: Counters) -> None:
        """To be called after every iteration, for who watches."""
        self._forecast.trained(time.monotonic(), now)
        self._clock.meter.tick()
        if self._console:
            self._console.tick(self._forecast)
        self._tell()

    @contextmanager
    def measuring(self, *, final: bool = False) -> Iterator[None]:
        """Around a measurement of what was learned; a final one is after the training."""
        self._forecast.measuring(time.monotonic(), final=final)
        yield
        self._forecast.measured(time.monotonic())

    def show(self, doing: str, fraction: float | None = None) -> None:
        """Tells who watches what goes on beside the progress, such as an evaluation, and how much of it is done; no row
        has it.
        """
        self._doing = doing
        if fraction is not None:
            self._forecast.measured_so_far(fraction)
        if self._console:
            self._console.show(doing)
        self._tell()

    def close(self) -> None:
        """Ends the console's line and closes the files."""
        if self._console:
            self._console.close()
        self._metrics.close()
        self._timing.close()
        remove_progress(self._folder)

    def state_dict(self) -> State:
        """The position in the files, which are on the disk up to there, and what waits for the next row."""
        return {
            "metrics_bytes": self._metrics.sync(),
            "timing_bytes": self._timing.sync(),
            "latest": dict(self.latest),
            "pending": {name: reduction.state_dict() for name, reduction in self._pending.items()},
        }

    def load_state_dict(self, state: State) -> None:
        """Cuts both files back to the saved position. Raises UserError when a file ends before it."""
        self._metrics.truncate(state["metrics_bytes"])
        self._timing.truncate(state["timing_bytes"])
        self._row_before = None
        self.latest = dict(state["latest"])
        self._pending = {name: Reduction.from_state(saved) for name, saved in state["pending"].items()}

    def _tell(self) -> None:
        """Other processes read it in the run folder."""
        if time.monotonic() - self._told_at < INTERVAL_S:
            return
        now_s, forecast = time.monotonic(), self._forecast
        self._told_at, pace_s, until = now_s, forecast.pace_s, forecast.until
        told = Progress(
            at=time.time(),
            done=forecast.done,
            total=until.count,
            unit=until.unit,
            per_second=1 / pace_s if pace_s else None,
            seconds_left=forecast.seconds_left(now_s),
            doing=self._doing,
            inexact=list(self._clock.inexact),
        )
        write_progress(self._folder, told)

    def _measure_timing(self, now: Counters) -> dict[str, float]:
        """Wall-clock values over all segments; a rate is measured from row to row, so start-up is in none."""
        seconds = self._clock.wall_time_s
        rate = {}
        if self._row_before is not None and seconds > self._row_before[0]:
            seconds_before, before = self._row_before
            unit: Unit = next((unit for unit in _WORK if now.count(unit)), "updates")
            rate = {f"{unit}_per_second": (now.count(unit) - before.count(unit)) / (seconds - seconds_before)}
        self._row_before = (seconds, now)
        return {
            "wall_time_s": seconds,
            **rate,
            "peak_memory_bytes": _peak_memory_bytes(),
            "load_average": os.getloadavg()[0],
            **in_row(self._clock.meter.energy.joules),
        }


def read_rows(file: Path) -> list[dict[str, float]]:
    """The rows of a `metrics.jsonl` or `timing.jsonl`, oldest first; counters are int, all else is float."""
    return [row_of(json.loads(line)) for line in file.read_text(encoding="ascii").splitlines()]


def row_of(values: Mapping[str, Any]) -> dict[str, float]:
    """A line of such a file as its values are: what is not finite stands there as a word."""
    return {name: value if name in COUNTERS else float(value) for name, value in values.items()}


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


class _Rows:
    """A file of JSON rows that grows at its end. It is opened at the first row, so looking at a run changes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def append(self, row: dict[str, float]) -> None:
        if self._file is None:
            self.truncate(self._bytes)
            self._file = self._path.open("ab")
        line = json.dumps({name: _json(value) for name, value in row.items()}, allow_nan=False).encode() + b"\n"
        self._file.write(line)
        self._file.flush()
        self._bytes += len(line)

    def sync(self) -> int:
        """Waits until every row is on the disk; returns the size of the file."""
        if self._file is not None:
            files.sync(self._path)
            files.sync(self._path.parent)
        return self._bytes

    def truncate(self, size: int) -> None:
        """Removes what a run that was killed wrote after its last checkpoint."""
        self.close()
        self._path.touch()
        present = self._path.stat().st_size
        if present < size:
            raise UserError(f"{self._path} has {present} bytes, but the checkpoint was saved when it had {size}")
        os.truncate(self._path, size)
        self._bytes = size

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _json(value: float) -> Any:
    return value if math.isfinite(value) else str(value)
