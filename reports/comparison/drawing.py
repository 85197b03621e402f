"""Pictures of a comparison: learning curves and performance profiles, a panel for each environment (extra `plots`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reports.comparison.computed import Comparison, Part
from reports.comparison.curves import Axis, Band
from reports.plots import COLUMNS, figure_of, short_steps
from training.errors import UserError

LIGHT_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#56b4e9", "#e69f00")
"""Okabe and Ito's, which colour-blind readers tell apart; without the yellow and the black."""
DARK_COLOURS = ("#58a6ff", "#ff9255", "#3fcf9a", "#e6a3d3", "#9be0ff", "#f2c14e")
"""The same hues, light enough for a dark ground."""
STYLES = ("-", "--", "-.", ":")
"""So that lines differ in print without colours too."""
ALL = "all environments"


def draw_curves(found: Comparison, path: Path, axis: Axis = "env_steps", *, dark: bool = False) -> None:
    """The mean of each group with its interval over seeds. Raises UserError where no group has a curve on this axis."""
    parts = {
        task: part
        for task, part in found.tasks.items()
        if any(summary.curves[axis] is not None for summary in part.groups.values())
    }
    if not parts:
        what = "env steps" if axis == "env_steps" else "the wall clock"
        raise UserError(f"no group has a curve of {found.metric} over {what}")
    names = list(found.tasks[next(iter(found.tasks))].groups) if len(found.tasks) == 1 else _names(found)
    over_time = 1 if axis == "env_steps" else 60
    panels = {
        task: {
            name: one._replace(x=one.x / over_time)
            for name, summary in part.groups.items()
            if (one := summary.curves[axis]) is not None
        }
        for task, part in parts.items()
    }
    unit = next(iter(parts.values())).unit if axis == "env_steps" else "wall clock, minutes"
    told = f"{unit}\nline: mean of seeds; band: its 95 % interval"
    if any(one.interpolated for bands in panels.values() for one in bands.values()):
        told += "; interpolated at common points"
    draw_bands(panels, path, told, found.metric, names=names, counts=axis == "env_steps", dark=dark)


def draw_bands(
    panels: Mapping[str, Mapping[str, Band]],
    path: Path,
    x_label: str,
    y_label: str,
    *,
    names: Sequence[str],
    shown: Sequence[str] | None = None,
    counts: bool = True,
    dark: bool = False,
) -> None:
    """A panel of lines with their bands for each title.

    Args:
        panels: by title, and by the name of a line.
        path: the file that is written.
        x_label: below all panels.
        y_label: beside them.
        names: of the lines; each has the look of its place.
        shown: those of them that are in the legend; None: all.
        counts: x counts steps, which are written short.
        dark: on a dark ground.
    """
    legend = names if shown is None else shown
    with figure_of(_size(len(panels), legend), path, dark=dark) as figure:
        for panel, (title, bands) in zip(_panels(figure, len(panels)), panels.items(), strict=True):
            for name, one in bands.items():
                _line(panel, one.x, one.value, one.low, one.high, index=names.index(name), dark=dark)
            panel.set_title(title, fontsize=9)
            if counts:
                panel.xaxis.set_major_formatter(lambda value, _: short_steps(value))
        figure.supxlabel(x_label, fontsize=8)
        figure.supylabel(y_label, fontsize=9)
        _legend(figure, names, legend, dark=dark)


def draw_profiles(found: Comparison, path: Path, *, dark: bool = False) -> None:
    """The share of runs above each score (Agarwal et al. 2021), and over all environments on one scale."""
    parts: dict[str, Part] = {**found.tasks, **({ALL: found.overall} if found.overall else {})}
    names = _names(found)
    with figure_of(_size(len(parts), names), path, dark=dark) as figure:
        for panel, (task, part) in zip(_panels(figure, len(parts)), parts.items(), strict=True):
            for name, summary in part.groups.items():
                profile = {key: np.array(values) for key, values in summary.profile.items()}
                _line(panel, *profile.values(), index=names.index(name), dark=dark, steps=True)
            panel.set_title(f"{task}, normalized" if task == ALL else task, fontsize=9)
            panel.set_ylim(-0.03, 1.03)
            panel.locator_params(axis="x", nbins=5)
        figure.supxlabel(f"{found.at} {found.metric}\nband: 95 % interval", fontsize=8)
        figure.supylabel("share of runs above", fontsize=9)
        _legend(figure, names, names, dark=dark)


def _names(found: Comparison) -> list[str]:
    return list(dict.fromkeys(name for part in found.tasks.values() for name in part.groups))


def _size(panels: int, names: Sequence[str]) -> tuple[float, float]:
    columns = min(COLUMNS, panels)
    return max(4.5, 3.6 * columns), 2.6 * -(-panels // COLUMNS) + 0.35 + 0.2 * len(names)


def _panels(figure: Any, count: int) -> list[Any]:
    columns = min(COLUMNS, count)
    panels = list(figure.subplots(-(-count // columns), columns, squeeze=False).flatten())
    for panel in panels[count:]:
        panel.set_axis_off()
    return panels[:count]


def _look(index: int, *, dark: bool) -> dict[str, Any]:
    colours = DARK_COLOURS if dark else LIGHT_COLOURS
    return {"color": colours[index % len(colours)], "linestyle": STYLES[index % len(STYLES)], "linewidth": 1.6}


def _line(panel: Any, x: Any, value: Any, low: Any, high: Any, *, index: int, dark: bool, steps: bool = False) -> None:
    look = _look(index, dark=dark)
    low, high = (np.array(bound, np.float64) for bound in (low, high))
    # Where nothing is known about an interval there is no band, which is not one of no width.
    panel.fill_between(x, low, high, color=look["color"], alpha=0.22, linewidth=0, step="post" if steps else None)
    panel.plot(x, value, drawstyle="steps-post" if steps else "default", **look)


def _legend(figure: Any, names: Sequence[str], shown: Sequence[str], *, dark: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=name, **_look(names.index(name), dark=dark)) for name in shown]
    figure.legend(handles=handles, loc="outside upper left", frameon=False, fontsize=8, handlelength=3.0)
