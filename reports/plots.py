"""Pictures for the docs, drawn from docs/results/ (extra `plots`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from reports.rate_curve import RateCurve
from training.claims import claim_of
from training.extras import extra

COLUMNS = 3
RATIO_TICKS = (1, 2, 3, 5, 10, 20)
INK, FAINT, TARGET = "#1f4e79", "#8fb3d4", "#c0392b"
DARK = "#0d1117", "#d0d7de"
"""The ground of a dark picture, and what is written on it."""
UNDATED: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}
"""Without the date the same numbers give the same bytes."""


def draw_learning_curves(reports: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One panel for each experiment: every seed's training return faintly, their mean, and the claim's target.

    Writes an SVG that is the same bytes for the same reports. Raises a UserError when matplotlib is missing.
    """
    rows = -(-len(reports) // COLUMNS)
    with figure_of((3.6 * COLUMNS, 2.5 * rows), path) as figure:
        panels = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
        for panel, report in zip(panels, reports, strict=False):
            _draw(panel, report)
        for panel in panels[len(reports) :]:
            panel.set_axis_off()
        figure.supxlabel("env steps")
        figure.supylabel("training return")


def draw_ratios(reports: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One line for each benchmark: the median of its pairs as a dot, their range, the floor and the aim.

    Writes an SVG that is the same bytes for the same reports. Raises a UserError when matplotlib is missing.
    """
    measured = [report for report in reports if report["ratio"] is not None]
    with figure_of((9.0, 0.9 + 0.42 * len(measured)), path) as figure:
        panel = figure.subplots()
        panel.axvline(1.0, color=FAINT, linewidth=0.9)
        for row, report in enumerate(measured):
            ratio = report["ratio"]
            panel.plot([ratio["min"], ratio["max"]], [row, row], color=INK, linewidth=1.6, solid_capstyle="round")
            panel.plot(ratio["median"], row, "o", color=INK, markersize=5)
            right = max(ratio["max"], report["aim"] or 0.0)
            panel.annotate(f"{ratio['median']:.3g}x", (right, row), (7, -3), textcoords="offset points")
            if report["floor"] is not None:
                panel.plot(report["floor"], row, "|", color=TARGET, markersize=11)
                panel.plot(report["aim"], row, "|", color=FAINT, markersize=11)
        panel.set_xscale("log")
        panel.set_xticks(RATIO_TICKS, [f"{ratio}x" for ratio in RATIO_TICKS])
        panel.minorticks_off()
        titles = [f"{report['title']}\n/ {report['peer']}" for report in measured]
        panel.set_yticks(range(len(measured)), titles, fontsize=7)
        panel.invert_yaxis()
        panel.margins(x=0.12)
        figure.supxlabel("times as fast as the peer; red: the floor, pale: the aim", fontsize=9)


def draw_race(reports: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Seconds to a solved task, one line for each: ours as a dot, the peer's as a ring, both medians over the pairs."""
    measured = [report for report in reports if report["ratio"] is not None]
    with figure_of((9.0, 0.9 + 0.36 * len(measured)), path) as figure:
        panel = figure.subplots()
        for row, report in enumerate(measured):
            ours, theirs = report["ours"]["figure"], report["theirs"]["figure"]
            panel.plot([ours, theirs], [row, row], color=FAINT, linewidth=1.6, zorder=1)
            panel.plot(ours, row, "o", color=INK, markersize=6)
            panel.plot(theirs, row, "o", color=TARGET, markersize=6, markerfacecolor="white")
            for seconds, side in ((min(ours, theirs), -1), (max(ours, theirs), 1)):
                where = {"textcoords": "offset points", "ha": "right" if side < 0 else "left", "fontsize": 8}
                panel.annotate(f"{seconds:,.0f} s", (seconds, row), (8 * side, -3), **where)
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:,.0f} s")
        panel.minorticks_off()
        panel.set_yticks(range(len(measured)), [report["title"].partition(":")[0] for report in measured])
        panel.invert_yaxis()
        panel.margins(0.14)
        figure.supxlabel(
            "seconds to a solved task; dot: Regimen, ring: Stable-Baselines3 with RL Zoo's numbers", fontsize=9
        )


def draw_rates(curve: RateCurve, path: Path) -> None:
    """The loss over the learning rate, with the suggested one."""
    with figure_of((4.5, 3.0), path) as figure:
        panel = figure.subplots()
        panel.plot(curve.rates, curve.losses, color=INK, linewidth=1.6)
        panel.axvline(curve.suggested, color=TARGET, linewidth=0.9, linestyle="--")
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.set_xlabel("learning rate; dashed: suggested")
        panel.set_ylabel("loss")


@contextmanager
def figure_of(size: tuple[float, float], path: Path, *, dark: bool = False) -> Iterator[Any]:
    """A figure of this size in inches, saved when the block ends: as SVG, PNG or PDF, by the end of its name."""
    with extra("plots"):
        import matplotlib as mpl
        from matplotlib.figure import Figure
    style: dict[Any, Any] = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "regimen",
        "savefig.dpi": 200,
        "text.parse_math": False,  # names are no formulas, whatever is in them
    }
    if dark:
        ground, ink = DARK
        style |= dict.fromkeys(["figure.facecolor", "savefig.facecolor", "axes.facecolor"], ground)
        style |= dict.fromkeys(["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], ink)
    with mpl.rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        yield figure
        figure.savefig(path, metadata=UNDATED[path.suffix])


def _draw(panel: Any, report: Mapping[str, Any]) -> None:
    curves = [np.array(figures["curve"]) for figures in report["runs"][report["experiment"]] if figures["curve"]]
    for curve in curves:
        panel.plot(curve[:, 0], curve[:, 1], color=FAINT, linewidth=0.8)
    # The mean where every seed has been measured.
    grid = np.linspace(max(curve[0, 0] for curve in curves), min(curve[-1, 0] for curve in curves), 100)
    mean = np.mean([np.interp(grid, curve[:, 0], curve[:, 1]) for curve in curves], axis=0)
    panel.plot(grid, mean, color=INK, linewidth=1.6)
    for claim in map(claim_of, report["claims"]):
        if claim.target is not None and claim.metric == "evaluation/return_mean":
            panel.axhline(claim.target, color=TARGET, linewidth=0.9, linestyle="--")
    panel.set_title(report["experiment"], fontsize=9)
    panel.xaxis.set_major_formatter(lambda value, _: short_steps(value))


def short_steps(env_steps: float) -> str:
    """Env steps as an axis has them: 500k, 2M."""
    if env_steps >= 1e6:
        return f"{env_steps / 1e6:g}M"
    return f"{env_steps / 1e3:g}k" if env_steps else "0"
