"""A run as it is seen from outside, while it goes on: read from the files of its folder, each row once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from training.diagnosis.diagnose import diagnose
from training.diagnosis.finding import Finding
from training.diagnosis.record import record_of
from training.errors import UserError
from training.run.files import read_json
from training.run.folder import is_held, read_settings
from training.run.following import Follower
from training.run.logger import COUNTERS, read_rows
from training.run.progress import Progress, read_progress
from training.run.runs import RunStatus, budget_of
from training.run.stages import stage_folders

MOST_POINTS = 2048
"""Of a curve; of a longer one every second point is kept, and so on."""
MOST_DIAGNOSED_BYTES = 2**25
"""A longer log takes too long to be diagnosed beside other things; `diagnose` does."""
DIAGNOSE_EVERY_S = 10.0
DIAGNOSING = 0.05
"""At the most so much of the time is spent on it."""


SHOWN_FIRST = ("evaluation/", "validation/", "rollout/", "optimizer/", "policy/", "value/")
"""Of the metrics."""


def place_of(name: str) -> tuple[int, str]:
    """By which metrics are put in order; counters come last."""
    place = next((index for index, prefix in enumerate(SHOWN_FIRST) if name.startswith(prefix)), len(SHOWN_FIRST))
    return (len(SHOWN_FIRST) + 1 if "/" not in name else place), name


class Series:
    """A metric over the work, thinned where it has very many points."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = []
        self._keep_every, self._seen = 1, 0

    def add(self, at: float, value: float) -> None:
        """Takes the next point."""
        if self._seen % self._keep_every == 0:
            self.points.append((at, value))
        self._seen += 1
        if len(self.points) > MOST_POINTS:
            del self.points[1::2]
            self._keep_every *= 2


class Seen(NamedTuple):
    """A run at one moment."""

    folder: Path
    settings: Mapping[str, Any]
    stage: str
    """Which of its stages goes on; "" for a run of one."""
    status: RunStatus
    unit: str
    done: int
    total: int | None
    progress: Progress | None
    """What it says of itself while it goes on."""
    latest: Mapping[str, float]
    timing: Mapping[str, float]
    series: Mapping[str, Series]
    inexact: Sequence[str]
    findings: Sequence[Finding] | None
    """None: the log is too long to be diagnosed on the way."""
    result: Mapping[str, Any]
    there: bool = True
    """False once its folder is gone."""

    @property
    def fraction(self) -> float | None:
        """How much of the budget is spent, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else None


class Watched:
    """Looks at a run again and again. Raises UserError when the folder is not a run at first; later that is told."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._settings = folder, read_settings(folder)
        self._seen: Seen | None = None
        self._findings: Sequence[Finding] | None = ()
        self._diagnose_at = 0.0
        self._follow(folder)

    def look(self) -> Seen:
        """How it is now."""
        try:
            self._settings = read_settings(self._folder)
        except UserError:
            assert self._seen is not None, "it was there a moment ago"
            return self._seen._replace(there=False, progress=None)
        stages = [stage for stage in stage_folders(self._folder) if (stage / "metrics.jsonl").exists()]
        current = stages[-1] if stages else self._folder
        if current != self._current:
            self._follow(current)
        self._read()
        held = is_held(self._folder)
        result = _read(self._folder / "result.json")
        status: RunStatus = "running" if held else result.get("status", "interrupted")
        progress = read_progress(current) if held else None
        budget, unit = budget_of(self._settings["config"])
        self._diagnose(current, status)
        self._seen = Seen(
            folder=self._folder,
            settings=self._settings,
            stage="" if current == self._folder else current.name,
            status=status,
            unit=progress.unit if progress else unit,
            done=max(progress.done if progress else 0, int(self._latest.get(progress.unit if progress else unit, 0))),
            total=progress.total if progress else budget,
            progress=progress,
            latest=self._latest | (result["metrics"] if status == "completed" else {}),
            timing=self._timing,
            series=self._series,
            inexact=result["inexact"] if result and not held else progress.inexact if progress else (),
            findings=self._findings,
            result={} if held else result,
        )
        return self._seen

    def _follow(self, current: Path) -> None:
        self._current = current
        self._metrics, self._times = Follower(current / "metrics.jsonl"), Follower(current / "timing.jsonl")
        self._forget()
        self._timing: dict[str, float] = {}
        self._diagnose_at = 0.0

    def _forget(self) -> None:
        self._latest: dict[str, float] = {}
        self._series: dict[str, Series] = {}

    def _read(self) -> None:
        for row in self._metrics.read():
            if self._metrics.begun_anew:
                self._metrics.begun_anew = False
                self._forget()
            self._latest |= row
            at = row.get("env_steps") or row.get("updates", 0)
            for name, value in row.items():
                if name not in COUNTERS:
                    self._series.setdefault(name, Series()).add(at, value)
        if self._metrics.begun_anew:  # and it is empty
            self._forget()
        for row in self._times.read():
            self._timing |= row

    def _diagnose(self, current: Path, status: RunStatus) -> None:
        """Now and then, and at the end once more."""
        if time.monotonic() < self._diagnose_at and (self._seen is None or self._seen.status == status):
            return
        began_s = time.monotonic()
        try:
            if (current / "metrics.jsonl").stat().st_size > MOST_DIAGNOSED_BYTES:
                self._findings = None
            else:
                rows = read_rows(current / "metrics.jsonl")
                self._findings = diagnose(record_of(rows, read_settings(current), _read(self._folder / "result.json")))
        except (OSError, ValueError, UserError):  # not there yet, or half a row
            pass
        taken_s = time.monotonic() - began_s
        self._diagnose_at = time.monotonic() + max(DIAGNOSE_EVERY_S, taken_s / DIAGNOSING)


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_json(file)
    except (OSError, ValueError):  # gone between two looks
        return {}
