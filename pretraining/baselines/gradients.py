"""What read pictures before networks did: histograms of oriented gradients, with a neighbour or a plane behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]
AT_A_TIME = 512


def histograms_of_gradients(images: NDArray[Any], *, cell: int = 4, bins: int = 9, clip: float = 0.2) -> Numbers:
    """The HOG features [S, F] of images [S, H, W] (Dalal and Triggs 2005, https://doi.org/10.1109/CVPR.2005.177).

    Gradients without a sign, each shared by the two nearest of `bins` directions; cells of `cell` x `cell` pixels,
    blocks of 2 x 2 cells that overlap by one, each of length 1, clipped and of length 1 again (their L2-Hys).
    """
    parts = range(0, len(images), AT_A_TIME)
    return np.concatenate([_histograms(images[start : start + AT_A_TIME], cell, bins, clip) for start in parts])


def _histograms(images: NDArray[Any], cell: int, bins: int, clip: float) -> Numbers:
    values = images.astype(np.float32)
    down, right = np.zeros_like(values), np.zeros_like(values)
    down[:, 1:-1] = values[:, 2:] - values[:, :-2]
    right[:, :, 1:-1] = values[:, :, 2:] - values[:, :, :-2]
    size = np.hypot(down, right)
    place = np.mod(np.arctan2(down, right), np.pi) * (bins / np.pi)
    lower = np.floor(place)
    share = place - lower
    samples, height, width = (values.shape[0], values.shape[1] // cell, values.shape[2] // cell)
    cells = np.empty((samples, height, width, bins), np.float32)
    for number in range(bins):
        weight = size * ((lower % bins == number) * (1 - share) + ((lower + 1) % bins == number) * share)
        tiles = weight[:, : height * cell, : width * cell].reshape(samples, height, cell, width, cell)
        cells[..., number] = tiles.sum((2, 4))
    corners = (cells[:, i : height - 1 + i, j : width - 1 + j] for i in (0, 1) for j in (0, 1))
    blocks = np.concatenate(list(corners), axis=-1)
    for limit in (clip, np.inf):
        blocks = np.minimum(blocks / np.maximum(np.linalg.norm(blocks, axis=-1, keepdims=True), 1e-6), limit)
    return blocks.reshape(samples, -1)


def nearest_neighbour(known: Numbers, target: NDArray[np.int64], asked: Numbers) -> NDArray[np.int64]:
    """The class of the one of `known` [S, F] that is nearest to each of `asked` [Q, F]."""
    own = (known**2).sum(1)
    found = [(own - 2 * rows @ known.T).argmin(1) for rows in _some(asked)]
    return np.asarray(target[np.concatenate(found)])


class Discriminant:
    """Linear discriminant analysis with equal priors: each class its mean, all of them one covariance (Fisher 1936).

    The covariance is shrunk: `shrinkage` of its mean variance is added to every variance.
    """

    def __init__(self, means: Numbers, covariance: Numbers, *, shrinkage: float) -> None:
        shrunk = covariance + shrinkage * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        self._planes = np.linalg.solve(shrunk, means.T).astype(np.float32)
        self._offsets = 0.5 * (means * self._planes.T).sum(1)

    def __call__(self, asked: Numbers) -> NDArray[np.int64]:
        """The likeliest class of each [Q, F]."""
        return np.concatenate([(rows @ self._planes - self._offsets).argmax(1) for rows in _some(asked)])


def discriminants(known: Numbers, target: NDArray[np.int64], shrinkages: Sequence[float]) -> list[Discriminant]:
    """One for each shrinkage, of samples [S, F] and their classes [S]."""
    count = np.bincount(target)
    means = np.zeros((len(count), known.shape[1]), np.float32)
    np.add.at(means, target, known)
    means /= count[:, None]
    within = known - means[target]
    covariance = np.asarray(within.T @ within / (len(known) - len(count)), np.float32)
    return [Discriminant(means, covariance, shrinkage=shrinkage) for shrinkage in shrinkages]


def best_discriminant(
    known: Numbers,
    target: NDArray[np.int64],
    validation: tuple[Numbers, NDArray[np.int64]],
    *,
    shrinkages: Sequence[float] = (0.01, 0.1, 1.0),
) -> Discriminant:
    """The one that reads the most of the validation split."""
    asked, truth = validation
    return max(discriminants(known, target, shrinkages), key=lambda one: float((one(asked) == truth).mean()))


def _some(asked: Numbers) -> list[Numbers]:
    return [asked[start : start + AT_A_TIME] for start in range(0, len(asked), AT_A_TIME)]
