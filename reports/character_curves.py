"""Curves in characters: a braille character has two dots by four, so lines are fine enough to be read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from rich.text import Text

from training.numbers import short

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of a character, by row and column."""
BRAILLE = 0x2800


class Line(NamedTuple):
    """Points with a finite place, from left to right, and what they look like."""

    points: Sequence[tuple[float, float]]
    style: str
    joined: bool = True


def draw(lines: Sequence[Line], width: int, height: int, *, right: float | None = None) -> list[Text]:
    """So many lines of so many characters: the values at the left, what is drawn later over what is drawn before.

    Args:
        lines: to be drawn together, on one scale.
        width, height: in characters.
        right: the place of the right edge, where it is further than the last point.
    """
    points = [point for line in lines for point in line.points]
    lowest, highest = min(y for _, y in points), max(y for _, y in points)
    labels = [short(highest), short(lowest)]
    margin = max(map(len, labels))
    columns = max(1, width - margin - 1)
    left, right = min(x for x, _ in points), max(right if right is not None else -math.inf, *(x for x, _ in points))
    cells: dict[tuple[int, int], tuple[int, str]] = {}
    for line in lines:
        places = [
            (_place(x, left, right, 2 * columns), 4 * height - 1 - _place(y, lowest, highest, 4 * height))
            for x, y in line.points
        ]
        for x, y in _joined(places) if line.joined else places:
            cell = y // 4, x // 2
            cells[cell] = (cells.get(cell, (0, ""))[0] | DOTS[y % 4][x % 2], line.style)
    drawn = []
    for row in range(height):
        label = labels[0] if row == 0 else labels[1] if row == height - 1 else ""
        text = Text(f"{label:>{margin}} ", style="dim", no_wrap=True)
        for column in range(columns):
            bits, style = cells.get((row, column), (0, ""))
            text.append(chr(BRAILLE + bits) if bits else " ", style=style)
        drawn.append(text)
    return drawn


def _place(value: float, low: float, high: float, count: int) -> int:
    return min(count - 1, int((value - low) / (high - low) * count)) if high > low else count // 2


def _joined(places: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """The dots on straight lines from each place to the next."""
    yield from places[:1]
    for (x, y), (to_x, to_y) in pairwise(places):
        steps = max(abs(to_x - x), abs(to_y - y), 1)
        for step in range(1, steps + 1):
            yield x + round((to_x - x) * step / steps), y + round((to_y - y) * step / steps)
