"""The progress of a run for the person who watches it: a live line in a terminal, now and then a plain line in a log.

It goes to stderr; stdout is for results.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import IO

import rich.console
from rich.cells import cell_len
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from training.core import Budget, Counters
from training.numbers import duration, short

SHOWN = {"return": "rollout/return_mean", "eval": "evaluation/return_mean"}
"""The metrics that the line shows beside the progress, under the names they have there."""

LIVE_INTERVAL_S = 0.25
PLAIN_INTERVAL_S = 5.0
RECENT_S = 30.0  # rate and ETA are those of the last part of the run, which gets faster and slower on its way
BAR_CELLS = (10, 40)


class Console:
    """Shows how far a run is. It never raises: a terminal that goes away takes the line with it, not the run.

    Args:
        title: what the line begins with.
        file: where it goes; stderr unless given.
    """

    def __init__(self, title: str, *, file: IO[str] | None = None) -> None:
        self._title = title
        self._terminal = rich.console.Console(file=file or sys.stderr, highlight=False)
        self._is_live = self._terminal.is_terminal and not self._terminal.is_dumb_terminal
        self._live: Live | None = None
        self._progress = _Progress()
        self._latest: Mapping[str, float] = {}
        self._is_drawn = True
        self._doing = ""
        self._drawn_at = -math.inf

    def update(self, now: Counters, until: Budget, latest: Mapping[str, float]) -> None:
        """Takes the newest counters and metrics; draws them unless it drew a moment ago."""
        with contextlib.suppress(Exception):
            self._progress.add(now, until)
            self._latest, self._is_drawn, self._doing = dict(latest), False, ""
            self._draw_when_due()

    def show(self, doing: str) -> None:
        """Says what goes on beside the progress, such as an evaluation; with nothing it takes that back."""
        with contextlib.suppress(Exception):
            self._doing = doing
            if doing:
                self._draw_when_due()
            elif self._is_live:
                self._is_drawn = False

    def close(self) -> None:
        """Draws what is not drawn yet and gives the terminal back."""
        with contextlib.suppress(Exception):
            if not self._is_drawn:
                self._draw()
        live, self._live = self._live, None
        with contextlib.suppress(Exception):
            if live is not None:
                live.stop()

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _draw_when_due(self) -> None:
        interval_s = LIVE_INTERVAL_S if self._is_live else PLAIN_INTERVAL_S
        if time.monotonic() - self._drawn_at >= interval_s:
            self._draw()

    def _draw(self) -> None:
        self._is_drawn, self._drawn_at = True, time.monotonic()
        latest = self._latest
        metrics = [f"{name} {short(latest[metric])}" for name, metric in SHOWN.items() if metric in latest]
        metrics = [self._doing, *metrics] if self._doing else metrics
        if not self._is_live:
            self._terminal.file.write("  ".join([self._title, *self._progress.texts(), *metrics]) + "\n")
            self._terminal.file.flush()
            return
        if self._live is None:
            self._live = Live(console=self._terminal, auto_refresh=False)
            self._live.start()
            # rich hides the cursor; a second Ctrl-C ends the process at once, and nobody would show it again.
            self._terminal.show_cursor(show=True)
        self._live.update(_line(self._title, self._progress, metrics, self._terminal.width), refresh=True)


class _Progress:
    """How far a run is, and how fast it has been lately."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()  # seconds, count
        self._until = Budget(1)
        self.fraction = 0.0

    def add(self, now: Counters, until: Budget) -> None:
        self._until = until
        self.fraction = until.fraction(now)
        self._points.append((time.monotonic(), now.count(until.unit)))
        while len(self._points) > 2 and self._points[-1][0] - self._points[1][0] >= RECENT_S:
            self._points.popleft()

    def texts(self) -> list[str]:
        """Percent, ETA, rate, count; nothing before the first count."""
        if not self._points:
            return []
        (first_s, first), (last_s, last) = self._points[0], self._points[-1]
        rate = (last - first) / (last_s - first_s) if last > first and last_s > first_s else None
        left = max(0, self._until.count - last)
        unit = self._until.unit.removeprefix("env_")
        return [
            f"{math.floor(100 * self.fraction):3d}%",
            f"ETA {duration(left / rate) if rate else '–'}",
            f"{short(rate) if rate else '–'}/s",
            f"{short(last)}/{short(self._until.count)} {unit}",
        ]


def _line(title: str, progress: _Progress, metrics: list[str], width: int) -> Table:
    """The line for a terminal: as many texts as leave room for a bar; the count goes first, then rate, then metrics."""
    line = Table.grid(padding=(0, 1))
    if not progress.texts():
        line.add_row(Text(title, style="bold"), Text("  ".join(metrics)))
        return line
    percent, eta, rate, count = progress.texts()
    texts = [percent, eta, *metrics, rate, count]
    room = width - cell_len(title) - 3
    while len(texts) > 2 and _cells(texts) + BAR_CELLS[0] > room:
        texts.pop()
    shown = [text for text in (percent, count, rate, eta, *metrics) if text in texts]
    bar = ProgressBar(completed=progress.fraction, total=1.0, width=max(1, min(room - _cells(shown), BAR_CELLS[1])))
    for _ in range(3):
        line.add_column(no_wrap=True)
    line.add_row(Text(title, style="bold"), bar, Text("  ".join(shown)))
    return line


def _cells(texts: list[str]) -> int:
    return sum(cell_len(text) + 2 for text in texts)
