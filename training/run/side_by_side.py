"""Several runs that are made side by side, each in a process of its own: how many are over, and when all will be."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from training.numbers import duration
from training.run.console import Console
from training.run.forecast import Job, jobs_left_s
from training.run.progress import read_progress

LOOK_EVERY_S = 0.5


class _Running(NamedTuple):
    kind: str
    folder: Path
    began_s: float


class SideBySide:
    """A line for the terminal, and the ETA of all for other lines. On a pipe nothing is written.

    What a run says of itself in its folder counts, and what those took that are over.

    Args:
        title: what the line begins with.
        jobs: so many go on at a time.
        waiting: the kind of each run that is to come, by its name: those of one kind take about as long.
        later: the kinds of those that come after all of them, which somebody else begins.
    """

    def __init__(self, title: str, jobs: int, waiting: Mapping[str, str], later: Iterable[str] = ()) -> None:
        self._jobs, self._waiting, self._later = jobs, dict(waiting), list(later)
        self._running: dict[str, _Running] = {}
        self._ended: list[Job] = []
        self._console = Console(title)
        self._looked_s = 0.0

    def begins(self, name: str, folder: Path, *, anew: bool = True) -> None:
        """A run begins, or, where not `anew`, goes on: how long that takes tells nothing about the others."""
        kind = self._waiting.pop(name)
        self._running[name] = _Running(kind if anew else f"{kind}, rest", folder, time.monotonic())

    def ended(self, name: str) -> None:
        """It is over, however."""
        kind, _, began_s = self._running.pop(name)
        self._ended.append(Job(kind, "ended", time.monotonic() - began_s))

    @property
    def eta(self) -> str:
        """When all are over: `ETA 1:05`, or that it is not known yet."""
        now_s = time.monotonic()
        running = [
            Job(one.kind, "running", now_s - one.began_s, told.left_s if (told := read_progress(one.folder)) else None)
            for one in self._running.values()
        ]
        to_come = [Job(kind, "waiting") for kind in (*self._waiting.values(), *self._later)]
        left_s = jobs_left_s([*self._ended, *running, *to_come], self._jobs)
        return f"ETA {'–' if left_s is None else duration(left_s)}"

    def look(self) -> None:
        """To be called often: draws the line when it is time."""
        if self._console.is_live and time.monotonic() - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = time.monotonic()
            total = len(self._ended) + len(self._running) + len(self._waiting)
            self._console.show(f"{len(self._ended)}/{total} done, {len(self._running)} running  {self.eta}")

    def __enter__(self) -> SideBySide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._console.close()
