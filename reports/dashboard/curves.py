"""Curves as SVG inside of a page; the style sheet gives the colours, for a light and a dark ground."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from training.numbers import short

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 560, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 24
LOOKS = 6
"""So many lines look different."""
MOST = 300
"""Points of a line."""


def svg(lines: Mapping[str, Points], about: str, spread: Mapping[float, float] | None = None) -> str:
    """A picture of lines by name, with a mark for each point where there are few; "" where no point is finite.

    Args:
        lines: the points of each, from left to right.
        about: what the picture shows, for who cannot see it.
        spread: of the last line, by its places: how far it may be up and down.
    """
    finite = {name: _thinned([p for p in points if all(map(math.isfinite, p))]) for name, points in lines.items()}
    places = [point for points in finite.values() for point in points]
    if not places:
        return ""
    left, right = min(x for x, _ in places), max(x for x, _ in places)
    low, high = min(y for _, y in places), max(y for _, y in places)

    def at(x: float, y: float) -> str:
        across = (x - left) / (right - left) if right > left else 0.5
        up = (y - low) / (high - low) if high > low else 0.5
        up = min(1.0, max(0.0, up))
        return f"{LEFT + across * (WIDTH - LEFT - RIGHT):.1f},{HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM):.1f}"

    drawn = [
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>'
    ]
    for text, y in ((short(high), TOP + 10), (short(low), HEIGHT - BOTTOM)):
        drawn.append(f'<text class="label" x="{LEFT - 6}" y="{y}" text-anchor="end">{text}</text>')
    for text, x, anchor in ((short(left), LEFT, "start"), (short(right), WIDTH - RIGHT, "end")):
        drawn.append(f'<text class="label" x="{x}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text}</text>')
    for index, points in enumerate(finite.values()):
        look = f"line{index % LOOKS}"
        drawn.append(f'<polyline class="{look}" points="{" ".join(at(*point) for point in points)}"/>')
        if len(points) <= 30:
            marks = (at(*point).split(",") for point in points)
            drawn += [f'<circle class="{look}" cx="{x}" cy="{y}" r="2.5"/>' for x, y in marks]
    if spread and finite:
        look = f"line{(len(finite) - 1) % LOOKS}"
        for place, value in list(finite.values())[-1]:
            wide = spread.get(place, math.nan)
            if math.isfinite(wide):
                ends = f"{at(place, value - wide)} {at(place, value + wide)}"
                drawn.append(f'<polyline class="{look} bar" points="{ends}"/>')
    told = escape(about, {'"': "&quot;"})
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}">{"".join(drawn)}</svg>'


def _thinned(points: Points) -> Points:
    step = -(-len(points) // MOST)
    return [*points[::step], *([points[-1]] if step > 1 else [])] if points else points
