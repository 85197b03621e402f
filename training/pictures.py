"""What a run shows in pictures beside its numbers: panels of lines and images, as data in `pictures.json`.

An experiment says what is to be seen; whoever draws it (reports/applications.py) decides how it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.errors import UserError, require
from training.run.files import read_json, write_json
from training.run.run import Run

FILE = "pictures.json"
DIGITS = 6
"""Of the numbers in the file: more than an eye can see."""


@dataclass(frozen=True)
class Line:
    """Points that are joined, or are not."""

    name: str
    x: Sequence[float] | NDArray[Any]
    y: Sequence[float] | NDArray[Any]
    kind: Literal["line", "dashed", "points", "bars"] = "line"

    def __post_init__(self) -> None:
        require(len(self.x) == len(self.y), "y", f"{len(self.y)} numbers", f"{len(self.x)}, as many as x")


@dataclass(frozen=True)
class Panel:
    """One picture of several lines, or one image."""

    title: str
    x: str = ""
    """What the axis shows, with its unit."""
    y: str = ""
    lines: Sequence[Line] = ()
    image: Sequence[Sequence[float]] | NDArray[Any] = field(default=())
    """Rows of grey values or of heat, [H][W]."""
    heat: bool = False
    """Whether the image is heat and no picture."""


def write_pictures(run: Run, panels: Sequence[Panel]) -> None:
    """Keeps the panels in the run's folder. Those that are there stay: the end of training is measured first, and its
    best checkpoint after that."""
    if (run.folder / FILE).exists():
        return
    write_json(run.folder / FILE, {"panels": [_rounded(asdict(panel)) for panel in panels]})


def read_pictures(folder: Path) -> list[Panel]:
    """The panels of a run. Raises UserError where it has none."""
    if not (folder / FILE).exists():
        raise UserError(f"{folder} has no {FILE}: it takes a finished run of an experiment that shows something")
    told = read_json(folder / FILE)["panels"]
    return [Panel(**{**panel, "lines": [Line(**line) for line in panel["lines"]]}) for panel in told]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        value = value.astype(np.float64).tolist()
    if isinstance(value, list | tuple | range):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
