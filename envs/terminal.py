"""Pictures in a terminal: two pixels in each cell, by half blocks with a colour of their own above and below."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

UPPER_HALF = "\u2580"
RESET = "\x1b[0m"
HOME = "\x1b[H"
CLEAR = "\x1b[2J"
CLEAR_LINE_END = "\x1b[K"
CLEAR_BELOW = "\x1b[J"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_CUBE = np.array([0, 95, 135, 175, 215, 255])
"""The brightness of each step of the 6 x 6 x 6 colours that 256-colour terminals have from number 16 on."""


def picture_lines(picture: NDArray[np.uint8], columns: int, rows: int, *, full_colour: bool = True) -> list[str]:
    """A picture [H, W, 3] or [H, W], as large as fits into so many cells, in its own proportions.

    Without `full_colour` it takes the 256 colours that nearly every terminal has.
    """
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, -1)
    height, width = picture.shape[:2]
    scale = min(columns / width, 2 * rows / height, 1.0)
    wide, high = max(1, int(width * scale)), max(2, int(height * scale) // 2 * 2)
    pixels = _shrunk(_shrunk(picture[..., :3].astype(np.float64), high, 0), wide, 1).round().astype(np.uint8)
    colours = _in_full(pixels) if full_colour else _of_256(pixels)
    return [_line(colours[row], colours[row + 1]) for row in range(0, high, 2)]


def _shrunk(picture: NDArray[np.float64], size: int, axis: int) -> NDArray[np.float64]:
    """Means of neighbouring rows or columns: thin lines stay, paler."""
    length = picture.shape[axis]
    if length < size:
        taken: NDArray[np.float64] = picture.take(np.arange(size) * length // size, axis)
        return taken
    edges = np.arange(size + 1) * length // size
    sums = np.add.reduceat(picture, edges[:-1], axis)
    counts = np.diff(edges).reshape([-1 if each == axis else 1 for each in range(picture.ndim)])
    shrunk: NDArray[np.float64] = sums / counts
    return shrunk


def _in_full(pixels: NDArray[np.uint8]) -> list[list[str]]:
    return [[f"2;{red};{green};{blue}" for red, green, blue in row] for row in pixels.tolist()]


def _of_256(pixels: NDArray[np.uint8]) -> list[list[str]]:
    nearest = np.abs(pixels[..., None].astype(int) - _CUBE).argmin(-1)
    numbers = 16 + nearest @ np.array([36, 6, 1])
    return [[f"5;{number}" for number in row] for row in numbers.tolist()]


def _line(above: list[str], below: list[str]) -> str:
    cells, upper, lower = [], "", ""
    for one, other in zip(above, below, strict=True):
        changes = [f"38;{one}"] * (one != upper) + [f"48;{other}"] * (other != lower)
        cells.append((f"\x1b[{';'.join(changes)}m" if changes else "") + UPPER_HALF)
        upper, lower = one, other
    return "".join(cells) + RESET


def text_lines(text: str, columns: int, rows: int) -> list[str]:
    """The lines of an environment that renders as text, cut to the terminal; its colours stay."""
    return [line if "\x1b" in line else line[:columns] for line in text.rstrip("\n").split("\n")[:rows]]


def told_value(value: Any) -> str:
    """An observation, an action or a thought in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {told_value(part)}" for key, part in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(told_value, value)) + ")"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    array = np.asarray(value)
    if array.ndim == 0:
        return str(value)
    if array.size > 32:
        spread = f", {array.min():.4g} to {array.max():.4g}" if array.dtype.kind in "biuf" else ""
        return f"{array.dtype} {list(array.shape)}{spread}"
    return " ".join(np.array2string(array, precision=4, suppress_small=True, max_line_width=10_000).split())
