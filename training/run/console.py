"""The progress of a run for the person who watches it: a live line in a terminal or a notebook, now and then a plain
line in a log.

It goes to stderr; stdout is for results.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Protocol

import rich.console
from rich.cells import cell_len
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from training.core import Budget, Counters
from training.notebook import Line, in_notebook
from training.numbers import duration, short
from training.run.forecast import Forecast

SHOWN = {"return": "rollout/return_mean", "eval": "evaluation/return_mean"}
"""The metrics that the line shows beside the progress, under the names they have there."""

LIVE_INTERVAL_S = 0.25
TICK_INTERVAL_S = 1.0
"""Between two rows: drawing takes a millisecond, in which nothing is trained."""
PLAIN_INTERVAL_S = 5.0
PARTS = 1000
"""In which a measurement that is no part of a run is counted."""
BAR_CELLS = (10, 40)


class Show(Protocol):
    """Tells who watches what goes on, in words, and how much of it is done, in [0, 1]."""

    def __call__(self, doing: str, fraction: float | None = None) -> None: ...


def nobody(doing: str, fraction: float | None = None) -> None:
    """Where nobody watches."""


class Console:
    """Shows how far a run is. It never raises: a terminal that goes away takes the line with it, not the run.

    Args:
        title: what the line begins with.
        file: where it goes; stderr unless given.
    """

    def __init__(self, title: str, *, file: IO[str] | None = None) -> None:
        self._title = title
        self._terminal = rich.console.Console(file=file or sys.stderr, highlight=False)
        self._in_cell = Line() if file is None and in_notebook() else None
        is_terminal = self._terminal.is_terminal and not self._terminal.is_dumb_terminal
        self.is_live = is_terminal or self._in_cell is not None
        self._live: Live | None = None
        self._forecast: Forecast | None = None
        self._alone = Forecast(Budget(PARTS, "updates"))
        self._latest: Mapping[str, float] = {}
        self._is_drawn = True
        self._doing = ""
        self._drawn_at = -math.inf

    def update(self, forecast: Forecast, latest: Mapping[str, float]) -> None:
        """Takes how far the run is and the newest metrics; draws them unless it drew a moment ago."""
        with contextlib.suppress(Exception):
            self._forecast = forecast
            self._latest, self._is_drawn, self._doing = dict(latest), False, ""
            self._draw_when_due()

    def tick(self, forecast: Forecast) -> None:
        """Draws how far the run is between two rows, where a line is drawn over."""
        if self.is_live:
            with contextlib.suppress(Exception):
                self._forecast = forecast
                if time.monotonic() - self._drawn_at >= TICK_INTERVAL_S:
                    self._draw()

    def show(self, doing: str, fraction: float | None = None) -> None:
        """Says what goes on beside the progress, such as an evaluation; with nothing it takes that back.

        Without any progress, the `fraction` that is done in [0, 1] is the progress.
        """
        with contextlib.suppress(Exception):
            self._doing = doing
            if fraction is not None:
                self._alone.trained(time.monotonic(), Counters(updates=round(PARTS * fraction)))
            if doing:
                self._draw_when_due()
            elif self.is_live:
                self._is_drawn = False

    def close(self) -> None:
        """Draws what is not drawn yet and gives the terminal back."""
        with contextlib.suppress(Exception):
            if self._in_cell is not None and self._in_cell.is_shown:
                self._draw_in(self._in_cell, is_over=True)
            elif not self._is_drawn:
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
        interval_s = LIVE_INTERVAL_S if self.is_live else PLAIN_INTERVAL_S
        if time.monotonic() - self._drawn_at >= interval_s:
            self._draw()

    def _draw(self) -> None:
        self._is_drawn, self._drawn_at = True, time.monotonic()
        metrics = self._metrics()
        if self._in_cell is not None:
            self._draw_in(self._in_cell)
            return
        if not self.is_live:
            self._terminal.file.write("  ".join([self._title, *self._texts(), *metrics]) + "\n")
            self._terminal.file.flush()
            return
        if self._live is None:
            self._live = Live(console=self._terminal, auto_refresh=False)
            self._live.start()
            # rich hides the cursor; a second Ctrl-C ends the process at once, and nobody would show it again.
            self._terminal.show_cursor(show=True)
        line = _line(self._title, self._fraction, self._texts(), metrics, self._terminal.width)
        self._live.update(line, refresh=True)

    @property
    def _fraction(self) -> float:
        forecast = self._forecast or self._alone
        return forecast.until.fraction(forecast.now)

    def _texts(self) -> list[str]:
        """Percent, ETA and, of a run, rate and count; nothing before the first count."""
        forecast = self._forecast or self._alone
        percent = f"{math.floor(100 * self._fraction):3d}%"
        left_s, pace_s = forecast.seconds_left(time.monotonic()), forecast.pace_s
        eta = f"ETA {'–' if left_s is None else duration(left_s)}"
        if self._forecast is None:
            return [percent, eta] if forecast.now != Counters() else []
        unit = forecast.until.unit.removeprefix("env_")
        rate = f"{short(1 / pace_s) if pace_s else '–'}/s"
        return [percent, eta, rate, f"{short(forecast.done)}/{short(forecast.until.count)} {unit}"]

    def _draw_in(self, cell: Line, *, is_over: bool = False) -> None:
        """In a notebook. What it keeps in the end has no rate and no ETA, which mean nothing to who reads it later."""
        texts = self._texts()
        texts = [texts[0], texts[-1]] if texts and is_over else texts
        cell.show("  ".join([self._title, *texts, *self._metrics()]), self._fraction)

    def _metrics(self) -> list[str]:
        """What is shown beside the progress."""
        found = [f"{name} {short(self._latest[metric])}" for name, metric in SHOWN.items() if metric in self._latest]
        return [self._doing, *found] if self._doing else found


def _line(title: str, fraction: float, progress: list[str], metrics: list[str], width: int) -> Table:
    """The line for a terminal: as many texts as leave room for a bar; the count goes first, then rate, then metrics."""
    line = Table.grid(padding=(0, 1))
    if not progress:
        line.add_row(Text(title, style="bold"), Text("  ".join(metrics)))
        return line
    percent, eta, *rate_and_count = progress
    texts = [percent, eta, *metrics, *rate_and_count]
    room = width - cell_len(title) - 3
    while len(texts) > 2 and _cells(texts) + BAR_CELLS[0] > room:
        texts.pop()
    shown = [text for text in (percent, *reversed(rate_and_count), eta, *metrics) if text in texts]
    bar = ProgressBar(completed=fraction, total=1.0, width=max(1, min(room - _cells(shown), BAR_CELLS[1])))
    for _ in range(3):
        line.add_column(no_wrap=True)
    line.add_row(Text(title, style="bold"), bar, Text("  ".join(shown)))
    return line


def _cells(texts: list[str]) -> int:
    return sum(cell_len(text) + 2 for text in texts)
