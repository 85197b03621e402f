"""The one logging layer: reduces metrics to rows and appends them to `metrics.jsonl`, the truth about a run.

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
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from training import files
from training.console import Console
from training.core import Budget, Counters, Every, Last, Max, Mean, Metric, Metrics, State, Sum, UserError
from training.tracker import Tracker

COUNTERS = tuple(asdict(Counters()))
_KINDS: dict[str, type[Metric]] = {"Mean": Mean, "Max": Max, "Sum": Sum, "Last": Last}


class Logger:
    """Collects metrics between two rows, writes each row to the run folder and shows it to tracker and console.

    Args:
        folder: where `metrics.jsonl` and `timing.jsonl` are; both start empty unless a state is loaded.
        every: how often the loop should write a row.
        until: the budget of the run, for the console's ETA.
        tracker: copies the files elsewhere; no row waits for it.
        console: shows the newest values to the user.
    """

    def __init__(
        self, folder: Path, *, every: Every, until: Budget, tracker: Tracker | None, console: Console | None
    ) -> None:
        self.every = every
        self.latest: dict[str, float] = {}
        """The value of every metric in the newest row that has it."""
        self._until = until
        self._tracker = tracker
        self._console = console
        self._pending: dict[str, _Reduction] = {}
        self._metrics = _Rows(folder / "metrics.jsonl")
        self._timing = _Rows(folder / "timing.jsonl")
        self._clock = _Clock()

    def add(self, metrics: Metrics) -> None:
        """Takes what one step measured. Values on an accelerator stay there: nothing waits for it until `write`.

        Raises ValueError for a tensor with dimensions, for one name with two kinds of metric or that of a counter.
        """
        for name, metric in metrics.items():
            reduction = self._pending.get(name)
            if reduction is None:
                if name in COUNTERS:
                    raise ValueError(f"a metric can not be named {name!r}: every row has a counter of that name")
                reduction = self._pending[name] = _Reduction(type(metric))
            reduction.add(name, metric)

    def write(self, now: Counters) -> None:
        """Writes what was added since the row before as one row. Nothing added: no row."""
        values = _read(self._pending)
        self._pending.clear()
        if not values:
            return
        # Timing first: who reads the files while they grow finds the timing of every row of metrics.
        self._timing.append(asdict(now) | self._clock.row(now))
        self._metrics.append(asdict(now) | values)
        self.latest |= values
        if self._tracker:
            self._tracker.follow()
        if self._console:
            self._console.update(now, self._until, self.latest)

    def close(self) -> None:
        """Ends the console's line and closes the files."""
        if self._console:
            self._console.close()
        self._metrics.close()
        self._timing.close()

    def state_dict(self) -> State:
        """The position in the files, which are on the disk up to there, and what waits for the next row."""
        return {
            "metrics_bytes": self._metrics.sync(),
            "timing_bytes": self._timing.sync(),
            "wall_time_s": self._clock.wall_time_s(),
            "latest": dict(self.latest),
            "pending": {name: reduction.state_dict() for name, reduction in self._pending.items()},
        }

    def load_state_dict(self, state: State) -> None:
        """Cuts both files back to the saved position. Raises UserError when a file ends before it."""
        self._metrics.truncate(state["metrics_bytes"])
        self._timing.truncate(state["timing_bytes"])
        self._clock = _Clock(state["wall_time_s"])
        self.latest = dict(state["latest"])
        self._pending = {name: _Reduction.from_state(saved) for name, saved in state["pending"].items()}


def read_rows(file: Path) -> list[dict[str, float]]:
    """The rows of a `metrics.jsonl` or `timing.jsonl`, oldest first; counters are int, all else is float."""
    rows = [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]
    return [{name: value if name in COUNTERS else float(value) for name, value in row.items()} for row in rows]


class _Reduction:
    """What is left of the values of one metric since the last row.

    Values are folded one by one in double precision, so the result does not depend on where a checkpoint, a kill or a
    resume falls between them.
    """

    __slots__ = ("kind", "value", "weight")

    def __init__(self, kind: type[Metric], value: float | Tensor | None = None, weight: float = 0.0) -> None:
        self.kind = kind
        self.value = value  # Mean: the weighted sum
        self.weight = weight  # Mean: the sum of the weights; others do not use it

    def add(self, name: str, metric: Metric) -> None:
        if type(metric) is not self.kind:
            raise ValueError(f"metric {name!r} is {self.kind.__name__} and {type(metric).__name__} in one row")
        value = _detached(name, metric.value)
        weight = metric.weight if isinstance(metric, Mean) else 1.0
        if weight == 0:  # a mean over nothing: whatever the value is, it means nothing
            return
        self.weight += weight
        if isinstance(metric, Mean | Sum):
            self.value = _sum(self.value, value, weight)
        elif isinstance(metric, Max) and self.value is not None:
            self.value = _larger(self.value, _copied(value))
        else:
            self.value = _copied(value)

    def state_dict(self) -> State:
        value = None if self.value is None else float(self.value)
        return {"kind": self.kind.__name__, "value": value, "weight": self.weight}

    @staticmethod
    def from_state(state: State) -> _Reduction:
        return _Reduction(_KINDS[state["kind"]], state["value"], state["weight"])


def _detached(name: str, value: float | Tensor) -> float | Tensor:
    """A number, or the tensor when it is on an accelerator."""
    if not isinstance(value, Tensor):
        return float(value)
    if value.ndim:
        raise ValueError(f"metric {name!r} has the shape {list(value.shape)}: it takes a tensor of no dimension")
    if value.is_cpu:
        return float(value.item())  # costs less than any tensor operation, and there is nothing to wait for
    return value.detach()


def _copied(value: float | Tensor) -> float | Tensor:
    """In double precision, in memory that no update of the algorithm changes."""
    return value.to(torch.float64, copy=True) if isinstance(value, Tensor) else value


def _sum(total: float | Tensor | None, value: float | Tensor, weight: float) -> float | Tensor:
    """The total with one more weighted value, in double precision; on an accelerator it is one kernel."""
    if not isinstance(value, Tensor):
        return (0.0 if total is None else total) + value * weight
    if not isinstance(total, Tensor):
        total = torch.full((), total or 0.0, dtype=torch.float64, device=value.device)
    return total.add_(value, alpha=weight)


def _larger(a: float | Tensor, b: float | Tensor) -> float | Tensor:
    """The larger of two values; nan when one of them is nan."""
    if isinstance(a, Tensor):
        return a.clamp(min=b)
    if isinstance(b, Tensor):
        return b.clamp(min=a)
    return a if a >= b or math.isnan(a) else b


def _read(pending: dict[str, _Reduction]) -> dict[str, float]:
    """The results in alphabetical order; all that is on an accelerator is fetched at once."""
    folded = {name: reduction.value for name, reduction in sorted(pending.items())}
    remote = {name: value for name, value in folded.items() if isinstance(value, Tensor)}
    fetched = dict(zip(remote, torch.stack(list(remote.values())).tolist(), strict=True)) if remote else {}
    weights = {name: reduction.weight if reduction.kind is Mean else 1.0 for name, reduction in pending.items()}
    return {name: fetched.get(name, value) / weights[name] for name, value in folded.items() if value is not None}


class _Clock:
    """Wall-clock values of a run over all its segments."""

    def __init__(self, wall_time_s: float = 0.0) -> None:
        self._started = time.monotonic() - wall_time_s
        self._row_before: tuple[float, Counters] | None = None

    def wall_time_s(self) -> float:
        return time.monotonic() - self._started

    def row(self, now: Counters) -> dict[str, float]:
        """The values of one row of timing; a rate is measured from row to row, so start-up is in none."""
        seconds = self.wall_time_s()
        rate = {}
        if self._row_before is not None and seconds > self._row_before[0]:
            before = self._row_before[1]
            unit = next((unit for unit in ("env_steps", "samples") if getattr(now, unit)), "updates")
            done = getattr(now, unit) - getattr(before, unit)
            rate = {f"{unit}_per_second": done / (seconds - self._row_before[0])}
        self._row_before = (seconds, now)
        return {
            "wall_time_s": seconds,
            **rate,
            "peak_memory_bytes": _peak_memory_bytes(),
            "load_average": os.getloadavg()[0],
        }


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
