"""What a page shows of a model that learned from data: handed over as numbers and words, and made ready to be shown."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.comparison.curves import Band
from reports.html.figures import Figure, data_uri, make_figure
from training.extras import extra

PERFECT = "as it should be"
MOST_CLASSES = 40
"""A table of more would be no table."""


@dataclass(frozen=True)
class Bins:
    """What was said and what was true, over the samples of each bin; every array is [bins]."""

    said: NDArray[np.float64]
    true: NDArray[np.float64]
    count: NDArray[np.int64]


@dataclass(frozen=True)
class Worst:
    """A sample that the model is far from."""

    row: int
    """In the split."""
    true: str
    said: str
    how: str
    """How far it is from it."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What stands out in its inputs."""
    pixels: NDArray[np.uint8] | None = None
    """An image [H, W] or [H, W, C]."""


@dataclass(frozen=True)
class HeldOut:
    """What a model says of samples that it has not learned from."""

    about: str
    """Which samples, which model."""
    bins: Bins
    worst: Sequence[Worst]
    labels: Sequence[str] = ()
    """Of classes."""
    confusion: NDArray[np.int64] | None = None
    """[true, said]; None for numbers."""

    @property
    def cells(self) -> list[list[tuple[int, int]]]:
        """Each count of the confusion with its share of its row, in percent; none where there are too many classes."""
        if self.confusion is None or len(self.confusion) > MOST_CLASSES:
            return []
        rows = np.maximum(self.confusion.sum(1, keepdims=True), 1)
        shares = (100 * self.confusion / rows).round().astype(int)
        return [list(zip(*pair, strict=True)) for pair in zip(self.confusion.tolist(), shares.tolist(), strict=True)]

    def calibration(self) -> Figure:
        """What is said against what is true: on the diagonal it is as often, or as much, as was said."""
        low, high = float(self.bins.said.min()), float(self.bins.said.max())
        if self.confusion is not None:
            low, high = 0.0, 1.0
        ends = np.array([low, high])
        lines = {"this model": _line(self.bins.said, self.bins.true), PERFECT: _line(ends, ends)}
        what = (
            ("confidence", "share that is right") if self.confusion is not None else ("predicted", "true, in the mean")
        )
        samples = ", ".join(f"{count:,}" for count in self.bins.count)
        about = (
            f"{what[1]} over {what[0]}, by bins of {samples} samples; the diagonal is a model that is well calibrated"
        )
        return make_figure(
            "Calibration",
            lines,
            names=list(lines),
            x_label=what[0],
            y_label=what[1],
            about=about,
            counts=False,
        )


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> Band:
    """Of which no interval is known."""
    unknown = np.full(len(x), np.nan)
    return Band(x, y, unknown, unknown, interpolated=False)


@dataclass(frozen=True)
class Sample:
    """What a language model wrote."""

    how: str
    text: str


def image(pixels: NDArray[np.uint8]) -> str:
    """An image as a data URI."""
    with extra("plots"):
        from matplotlib.image import imsave
    out = io.BytesIO()
    shown = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] not in (3, 4) else pixels
    grey: dict[str, Any] = {"cmap": "gray"} if shown.ndim == 2 else {}
    imsave(out, shown, format="png", **grey)
    return data_uri("image/png", out.getvalue())
