"""A run in a terminal: its curves, how far it is, the newest values and what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reports.character_curves import Line, draw
from reports.watched import Seen, Series, place_of
from training.numbers import duration, short
from training.program import program

# In the middle between black and white: readable on both.
FIRST, SECOND, BAD = "color(32)", "color(166)", "color(160)"
STATUS = {"running": FIRST, "completed": "color(35)", "interrupted": SECOND, "failed": BAD}
SIDE_BY_SIDE = 90
"""From so many columns on, values stand beside the curves."""
VALUES_CELLS = 42
LEAST_CURVE = 4
BORDER = 2
JUDGED = ("log_likelihood_uncalibrated", "r2", "accuracy", "loss")
"""What stands for a model that learns from data, the first that there is."""


def picture(seen: Seen, width: int, height: int) -> RenderableType:
    """What a terminal of so many columns and lines shows."""
    head, findings = _head(seen, width), _findings(seen)
    below = sum(_lines(line, width) for line in findings)
    below = min(below, max(1, height // 3))
    room = max(3, height - len(head) - below - 1)
    chosen = _chosen(seen.series)
    beside = width >= SIDE_BY_SIDE
    curves_width = width - VALUES_CELLS - 1 if beside else width
    values = sorted(seen.latest, key=place_of)
    for_curves = room if beside else max(0, room - min(room // 3, len(values) + BORDER))
    panels = _curves(chosen, seen, curves_width, for_curves)
    middle: RenderableType
    if beside:
        middle = Table.grid(padding=(0, 1, 0, 0))
        middle.add_column(width=curves_width)
        middle.add_column(width=VALUES_CELLS)
        middle.add_row(Group(*panels), _values(seen.latest, values, VALUES_CELLS, room))
    else:
        drawn = sum(panel.height or 0 for panel in panels)
        middle = Group(*panels, _values(seen.latest, values, width, room - drawn))
    return Group(*head, middle, *_cut(findings, width, below))


def _head(seen: Seen, width: int) -> list[RenderableType]:
    """Which run it is and how far: one line each, and what goes on beside the training."""
    settings = seen.settings
    env = settings["config"].get("env")
    words = [
        (str(settings["experiment"]), "bold"),
        (f"seed {settings['seed']}", ""),
        *([(str(env["id"]), "")] if isinstance(env, Mapping) and "id" in env else []),
        *([(f"stage {seen.stage}", "")] if seen.stage else []),
        ("gone" if not seen.there else seen.status, BAD if not seen.there else STATUS[seen.status]),
        (f"not exact: {seen.inexact[0]}" if seen.inexact else "exact", SECOND if seen.inexact else ""),
    ]
    title = Text("  ".join(word for word, _ in words), no_wrap=True, overflow="ellipsis")
    for word, style in words:
        title.highlight_words([word], style) if style else None
    return [title, _progress(seen, width), Text(_beside(seen), style=FIRST, no_wrap=True, overflow="ellipsis")]


def _progress(seen: Seen, width: int) -> RenderableType:
    """The bar, the ETA or the time it took, the rate and the count, as far as there is room."""
    told, unit = seen.progress, seen.unit.removeprefix("env_")
    fraction = seen.fraction
    parts = [] if fraction is None else [f"{math.floor(100 * fraction)}%"]
    if seen.status == "running":
        left_s = told.left_s if told else None
        parts.append(f"ETA {'–' if left_s is None else duration(left_s)}")
    parts.append(f"{short(seen.done)}{f'/{short(seen.total)}' if seen.total else ''} {unit}")
    rate = _rate(seen)
    parts += [rate] if rate else []
    seconds = seen.result.get("wall_time_s") or seen.timing.get("wall_time_s")
    parts += (
        [f"{duration(seconds)} so far" if seen.status == "running" else f"in {duration(seconds)}"] if seconds else []
    )
    while len(parts) > 2 and len("  ".join(parts)) > width - 8:
        parts.pop()
    text = Text("  ".join(parts), no_wrap=True)
    if fraction is None:
        return text
    line = Table.grid(padding=(0, 1))
    cells = max(1, min(40, width - text.cell_len - 2))
    bar = ProgressBar(
        completed=fraction,
        total=1.0,
        width=cells,
        style="color(244)",
        complete_style=FIRST,
        finished_style=STATUS["completed"],
    )
    line.add_row(bar, text)
    return line


def _rate(seen: Seen) -> str:
    """Of a run that acts in env steps, otherwise in updates or samples."""
    if seen.progress and seen.progress.per_second:
        return f"{short(seen.progress.per_second)} {seen.unit.replace('_', ' ')}/s"
    found = next((name for name in seen.timing if name.endswith("_per_second")), None)
    return f"{short(seen.timing[found])} {found.removesuffix('_per_second').replace('_', ' ')}/s" if found else ""


def _beside(seen: Seen) -> str:
    if not seen.there:
        return f"{seen.folder} is not there any more"
    if seen.progress and seen.progress.doing:
        return seen.progress.doing
    if why := seen.result.get("stopped_early"):
        return f"stopped early: {why}"
    return str(seen.folder)


def _chosen(series: Mapping[str, Series]) -> list[list[str]]:
    """The metrics of each panel: the returns; of what learns from data a loss and what it is judged by."""
    if returns := [name for name in ("rollout/return_mean", "evaluation/return_mean") if name in series]:
        return [returns]
    losses = [name for name in series if name.endswith("/loss") and not name.startswith("validation/")]
    held_out = [name for name in series if name.startswith("validation/")]
    judged = [name for ending in JUDGED for name in held_out if name.endswith(ending)]
    return [[name] for name in (*losses[:1], *(judged or held_out)[:1])]


def _curves(chosen: Sequence[Sequence[str]], seen: Seen, width: int, height: int) -> list[Panel]:
    panels = []
    while chosen and height // len(chosen) < LEAST_CURVE + BORDER:
        chosen = chosen[:-1]
    if not chosen:
        return []
    each = height // len(chosen)
    for names in chosen:
        lines: list[Line] = []
        told = Text()
        for name, style in zip(names, (FIRST, SECOND), strict=False):
            points = _finite(seen.series[name].points)
            if not points:
                continue
            if name == "evaluation/return_mean":
                lines += _spread(points, seen.series.get("evaluation/return_std"), style)
            lines.append(Line(points, style))
            told.append(f" {name} ", style=style)
        if not lines:
            continue
        end = max(x for line in lines for x, _ in line.points)
        right = end / seen.fraction if seen.fraction and seen.status == "running" else None
        drawn = draw(lines, width - 4, each - BORDER, right=right)
        panels.append(Panel(Group(*drawn), title=told, height=each, border_style="default", title_align="left"))
    return panels


def _spread(points: Sequence[tuple[float, float]], deviations: Series | None, style: str) -> list[Line]:
    """A vertical line at each evaluation: its episodes' standard deviation up and down."""
    by_place = dict(_finite(deviations.points)) if deviations else {}
    return [Line([(x, y - by_place[x]), (x, y + by_place[x])], style) for x, y in points if by_place.get(x)]


def _finite(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if math.isfinite(y)]


def _values(latest: Mapping[str, float], names: Sequence[str], width: int, height: int) -> RenderableType:
    """As many of the newest values as there is room for."""
    if height <= BORDER or not names:
        return Text("" if names else "no row yet")
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, justify="right")
    for name in names[: height - BORDER]:
        table.add_row(name, f"{latest[name]:.6g}")
    return Panel(table, title=" newest values ", title_align="left", width=width, border_style="default")


def _findings(seen: Seen) -> list[Text]:
    if seen.findings is None:
        return [Text(f"the log is long: {program()} diagnose {seen.folder}")]
    lines = []
    for finding in seen.findings:
        first, *tries = finding.lines("diagnosis")
        lines += [Text(first, style=BAD), *(Text(one) for one in tries)]
    return lines or [Text("diagnosis: nothing found")]


def _cut(lines: Sequence[Text], width: int, height: int) -> list[Text]:
    """The first lines that there is room for."""
    kept: list[Text] = []
    for line in lines:
        height -= _lines(line, width)
        if height < 0:
            return [*kept, *([] if kept else [Text(line.plain, style=line.style, no_wrap=True, overflow="ellipsis")])]
        kept.append(line)
    return kept


def _lines(line: Text, width: int) -> int:
    return max(1, -(-line.cell_len // width))
