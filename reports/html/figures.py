"""Figures of the page: for the browser's plotly, and as pictures for readers without scripts and for printing."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reports.comparison.curves import Band
from reports.comparison.drawing import STYLES, draw_bands
from reports.comparison.showing import Table
from training.extras import extra

POINTS = 300
"""The most points that a line has on the page."""
TOLD = 6
"""Points of each line that its table of numbers has."""
FEW = 30
"""So many points are marked on the line."""
DASHES = dict(zip(STYLES, ("solid", "dash", "dashdot", "dot"), strict=True))


@dataclass(frozen=True)
class Figure:
    """One figure: interactive, as two pictures, and as numbers."""

    title: str
    about: str
    """What it shows, for who cannot see it."""
    plot: dict[str, Any]
    """`data` and `layout` of plotly. The page sets the colours, by the `series` in each trace's `meta`."""
    light: str
    """A picture as a data URI."""
    dark: str
    numbers: Table


def make_figure(
    title: str,
    bands: Mapping[str, Band],
    *,
    names: Sequence[str],
    x_label: str,
    y_label: str,
    about: str,
    counts: bool = True,
) -> Figure:
    """A figure of lines with their bands. A line has the colour of its place in `names` on the whole page.

    Raises a UserError when matplotlib is missing.
    """
    shown = [name for name in names if name in bands]
    pictures = {
        dark: picture(
            {title: bands}, names=names, shown=shown, x_label=x_label, y_label=y_label, counts=counts, dark=dark
        )
        for dark in (False, True)
    }
    traces = [trace for name in shown for trace in _traces(name, bands[name], names.index(name))]
    layout = {"xaxis": {"title": {"text": _plain(x_label)}}, "yaxis": {"title": {"text": _plain(y_label)}}}
    numbers = Table(
        ["line", x_label.partition("\n")[0], y_label], [row for name in shown for row in _numbers(name, bands[name])]
    )
    return Figure(title, about, {"data": traces, "layout": layout}, pictures[False], pictures[True], numbers)


def picture(panels: Mapping[str, Mapping[str, Band]], *, names: Sequence[str], shown: Sequence[str], **how: Any) -> str:
    """The SVG of `draw_bands` as a data URI, in which no script runs, whatever a name holds."""
    with extra("plots"):
        import matplotlib as mpl
    with tempfile.TemporaryDirectory() as folder, mpl.rc_context({"svg.fonttype": "none"}):
        path = Path(folder, "figure.svg")
        draw_bands(panels, path, how.pop("x_label"), how.pop("y_label"), names=names, shown=shown, **how)
        return data_uri("image/svg+xml", path.read_bytes())


def data_uri(kind: str, content: bytes) -> str:
    """A file as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _traces(name: str, band: Band, index: int) -> list[dict[str, Any]]:
    known = np.isfinite(band.low) & np.isfinite(band.high)
    common: dict[str, Any] = {"legendgroup": str(index), "type": "scatter", "meta": {"series": index}}
    line = {"dash": DASHES[STYLES[index % len(STYLES)]]}
    mode = "lines+markers" if len(band.x) <= FEW else "lines"
    traces = [
        {**common, "name": _plain(name), "mode": mode, "x": _listed(band.x), "y": _listed(band.value), "line": line}
    ]
    if known.any():
        # One polygon there and back: no other line can come between its two sides.
        x = np.concatenate([band.x[known], band.x[known][::-1]])
        y = np.concatenate([band.low[known], band.high[known][::-1]])
        band_of = {"mode": "none", "fill": "toself", "hoverinfo": "skip", "showlegend": False}
        traces.insert(0, {**common, **band_of, "x": _listed(x), "y": _listed(y)})
    return traces


def _plain(words: str) -> str:
    """Words for plotly, which reads some HTML in its labels: here they are never any."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")


def _listed(values: Any) -> list[float | None]:
    """Numbers as JSON has them, with six digits."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]


def _numbers(name: str, band: Band) -> list[list[str]]:
    keep = np.unique(np.linspace(0, len(band.x) - 1, TOLD).round().astype(int))
    return [[name, f"{band.x[i]:,.6g}", _told(band.value[i], band.low[i], band.high[i])] for i in keep]


def _told(value: float, low: float, high: float) -> str:
    return f"{value:.4g} [{low:.4g}, {high:.4g}]" if np.isfinite(low) and np.isfinite(high) else f"{value:.4g}"
