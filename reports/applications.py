"""The numbers and pictures on the pages of applications: python -m reports.applications RUN...

Of finished runs of one experiment, a seed each, it draws docs/applications/NAME.svg from what the first of them shows
(training/pictures.py), and writes what all of them measured between `<!-- runs:NAME -->` and `<!-- /runs -->` into
docs/applications/NAME.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.plots import FAINT, INK, TARGET, figure_of
from training.errors import UserError
from training.numbers import short
from training.pictures import Line, Panel, read_pictures
from training.run.files import read_json

FOLDER = Path("docs", "applications")
COLUMNS = 3
COLORS = (INK, TARGET, "#6a994e", "#bc6c25", "#7b5ea7", "#555555")


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Writes the panels as one picture, three in a row."""
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    with figure_of((3.8 * columns, 3.1 * rows), path) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).flatten()
        for axis, panel in zip(axes, panels, strict=False):
            _draw(axis, panel)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()


def _draw(axis: Any, panel: Panel) -> None:
    axis.set_title(panel.title, fontsize=9)
    if len(panel.image):
        axis.imshow(panel.image, cmap="magma" if panel.heat else "gray", interpolation="nearest")
        axis.set_axis_off()
        return
    if all(line.kind == "bars" and len(line.x) == 1 for line in panel.lines):
        _draw_named(axis, panel)
        return
    solid = [line for line in panel.lines if line.kind != "dashed"]
    for line in panel.lines:
        color = COLORS[solid.index(line) % len(COLORS)] if line in solid else FAINT
        _draw_line(axis, line, color, place=solid.index(line) if line in solid else 0, of=len(solid))
    axis.set_xlabel(panel.x, fontsize=8)
    axis.set_ylabel(panel.y, fontsize=8)
    axis.tick_params(labelsize=7)
    if len(panel.lines) > 1:
        axis.legend(fontsize=7, frameon=False)


def _draw_named(axis: Any, panel: Panel) -> None:
    """One bar for each line, with its name below and its height above."""
    places, heights = range(len(panel.lines)), [line.y[0] for line in panel.lines]
    axis.bar(places, heights, 0.7, color=[COLORS[place % len(COLORS)] for place in places])
    for place, height in zip(places, heights, strict=True):
        axis.annotate(f"{height:.3g}", (place, height), (0, 2), textcoords="offset points", ha="center", fontsize=7)
    axis.set_xticks(places, [line.name.replace(" ", "\n") for line in panel.lines], fontsize=7)
    axis.tick_params(axis="y", labelsize=7)
    axis.set_ylabel(panel.y, fontsize=8)


def _draw_line(axis: Any, line: Line, color: str, *, place: int, of: int) -> None:
    if line.kind == "bars":
        width = 0.8 / of
        axis.bar([x + width * (place - (of - 1) / 2) for x in line.x], line.y, width, color=color, label=line.name)
    elif line.kind == "points":
        axis.plot(line.x, line.y, "o-", color=color, markersize=4, linewidth=0.8, label=line.name)
    else:
        style = "--" if line.kind == "dashed" else "-"
        axis.plot(line.x, line.y, style, color=color, linewidth=1.2, label=line.name)


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """What each seed measured, one column a seed, with its minutes and its joules."""
    seeds = [f"seed {result['seed']}" for result in results]
    rows = [["", *seeds], ["---", *["---"] * len(seeds)]]
    shown = (name for name in results[0]["metrics"] if not name.startswith("validation/"))
    rows += [[f"`{name}`", *(_number(result["metrics"].get(name)) for result in results)] for name in shown]
    rows.append(["minutes", *(f"{result['wall_time_s'] / 60:.1f}" for result in results)])
    rows.append(["joules (range, how known)", *(_joules(result) for result in results)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _joules(result: Mapping[str, Any]) -> str:
    energy = result.get("energy") or {}
    if "energy_j" not in energy:
        return "-"
    low, high = short(energy["energy_low_j"]), short(energy["energy_high_j"])
    return f"{short(energy['energy_j'])} ({low} to {high}, by {' and '.join(energy['sources'])})"


def write(runs: Sequence[Path], root: Path = Path()) -> list[Path]:
    """Draws the picture and writes the table of runs of one experiment; returns what was written.

    Raises UserError where they are not of one experiment, or the page does not ask for them.
    """
    results = [read_json(run / "result.json") for run in runs]
    names = sorted({str(result["experiment"]) for result in results})
    if len(names) != 1:
        raise UserError(f"runs of {', '.join(names)}: it takes those of one experiment")
    page, picture = (root / FOLDER / f"{names[0]}{suffix}" for suffix in (".md", ".svg"))
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    marked = re.compile(rf"(<!-- runs:{names[0]} -->\n).*?(<!-- /runs -->)", re.DOTALL)
    if not marked.search(text):
        raise UserError(f"{page} does not say where: it takes <!-- runs:{names[0]} --> and <!-- /runs -->")
    draw(read_pictures(runs[0]), picture)
    made = table(results)
    page.write_text(marked.sub(lambda found: found[1] + made + found[2], text), encoding="utf-8")
    return [page, picture]


def main(argv: Sequence[str]) -> int:
    """Writes the page of the runs that are named; 2 where it cannot."""
    try:
        if not argv:
            raise UserError("runs: it takes the folders of finished runs of one experiment")
        for file in write([Path(run) for run in argv]):
            print(f"wrote {file}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
