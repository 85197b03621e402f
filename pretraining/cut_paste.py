"""Defects that are learned without any: pieces of a good surface, cut out, changed and pasted elsewhere.

CutPaste (Li et al. 2021, https://arxiv.org/abs/2104.04015): a classifier that tells good patches from pasted ones is
asked about real defects. The paper learns a representation so and fits a density to it; here the classifier itself is
asked.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from training.core import Batch, Counters
from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.errors import require
from training.metrics import Metrics
from training.seeding import derived_seed
from training.state import State

Image = NDArray[np.float64]
"""Grey values from 0 to 255, [H, W]."""
GOOD, BAD = 0, 1


class CutPasted:
    """A stream of patches [B, P, P] of a good surface [H, W], half of them with a piece pasted in; they are drawn anew
    for each batch, which depends on the seed and its number alone. As many as `epoch` batches count as one."""

    def __init__(self, surface: Image, patch: int, minibatch_size: int, *, epoch: int, seed: int) -> None:
        require(minibatch_size >= 2, "minibatch_size", minibatch_size, "at least 2: good ones and bad ones")
        self._surface, self._patch, self._minibatch_size = surface, patch, minibatch_size
        self._epoch, self._seed, self._number = epoch, seed, 0

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        rng = np.random.default_rng(derived_seed(self._seed, "cut and pasted", self._number))
        made = pasted(self._surface, self._patch, self._minibatch_size, rng)
        batch = made.gather(torch.arange(len(made)))
        self._number += 1
        ended = self._number % self._epoch == 0
        return batch, now.advance(samples=self._minibatch_size, epochs=int(ended)), {}

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: no patch is preferred."""

    def state_dict(self) -> State:
        return {"number": self._number}

    def load_state_dict(self, state: State) -> None:
        self._number = state["number"]


def pasted(surface: Image, patch: int, count: int, rng: np.random.Generator) -> Dataset:
    """Patches [count, P, P], the second half of them with a piece pasted in, as a dataset of two classes."""
    images = crops(surface, patch, count, rng)
    for image in images[count // 2 :]:
        paste(image, surface, rng)
    target = (np.arange(count) >= count // 2).astype(np.int64)
    return as_dataset(images, target, "cut and pasted")


def as_dataset(images: NDArray[np.float64], target: NDArray[np.int64], source: str) -> Dataset:
    """Grey patches [S, P, P] with their classes, good or bad."""
    pixels = np.clip(np.round(images), 0, 255).astype(np.uint8)
    return of_arrays(pixels, target, source, labels=("good", "bad"))


def crops(surface: Image, patch: int, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Patches [count, P, P] from anywhere on a surface, as they lie there."""
    height, width = surface.shape
    require(min(height, width) >= patch, "patch", patch, f"at most {min(height, width)}, the surface's smaller side")
    tops, lefts = rng.integers(0, height - patch + 1, count), rng.integers(0, width - patch + 1, count)
    return np.stack([surface[top : top + patch, left : left + patch] for top, left in zip(tops, lefts, strict=True)])


def paste(image: Image, surface: Image, rng: np.random.Generator) -> None:
    """Puts a piece of the surface into the patch, in place: a rectangle or, as often, a thin scar, turned, with another
    brightness and contrast, and now and then blurred or noisy."""
    from scipy.ndimage import gaussian_filter, rotate

    patch = len(image)
    area = rng.uniform(0.02, 0.15) * patch**2
    ratio = np.exp(rng.uniform(np.log(0.3), np.log(3.3)))
    sides = (np.sqrt(area * ratio), np.sqrt(area / ratio)) if rng.random() < 0.5 else (
        rng.uniform(2, 5), rng.uniform(0.3, 0.8) * patch)  # fmt: skip
    height, width = (int(np.clip(side, 2, patch - 1)) for side in sides)
    (piece,) = crops(surface, max(height, width), 1, rng)
    piece = piece[:height, :width]
    piece = (piece - piece.mean()) * rng.uniform(0.6, 1.4) + piece.mean() + rng.uniform(-50, 50)
    change = rng.random()
    if change < 0.25:
        piece = gaussian_filter(piece, rng.uniform(0.7, 2.5))
    elif change < 0.5:
        piece = piece + rng.normal(0, rng.uniform(3, 15), piece.shape)
    angle = rng.uniform(-90, 90)
    turned = rotate(piece, angle, order=1, mode="nearest", reshape=True)
    mask = rotate(np.ones(piece.shape), angle, order=1, reshape=True) > 0.5
    turned, mask = turned[:patch, :patch], mask[:patch, :patch]
    top, left = (int(rng.integers(0, patch - size + 1)) for size in mask.shape)
    place = image[top : top + mask.shape[0], left : left + mask.shape[1]]
    place[mask] = np.clip(turned[mask], 0, 255)


DEFECTS = ("scratch", "stain", "smear")


def damaged(image: Image, kind: str, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Puts a defect into an image [H, W], in place, such as no piece of the surface makes; returns where it is."""
    from scipy.ndimage import uniform_filter1d

    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float64)
    middle = [rng.uniform(0.3, 0.7) * side for side in image.shape]
    angle, sign = rng.uniform(0, np.pi), rng.choice([-1.0, 1.0])
    along = (columns - middle[1]) * np.cos(angle) + (rows - middle[0]) * np.sin(angle)
    across = (rows - middle[0]) * np.cos(angle) - (columns - middle[1]) * np.sin(angle)
    if kind == "scratch":
        depth = np.exp(-((across / rng.uniform(0.6, 1.2)) ** 2)) * (np.abs(along) < rng.uniform(7, 14))
        change = sign * rng.uniform(40, 90) * depth
    elif kind == "stain":
        depth = np.exp(-((along / rng.uniform(3, 6)) ** 2) - (across / rng.uniform(3, 6)) ** 2)
        change = sign * rng.uniform(30, 60) * depth
    else:
        require(kind == "smear", "kind", kind, f"one of {', '.join(DEFECTS)}")
        depth = ((np.abs(along) < rng.uniform(6, 11)) & (np.abs(across) < rng.uniform(4, 8))).astype(np.float64)
        change = depth * (uniform_filter1d(image, 9, axis=int(rng.integers(2)), mode="nearest") - image)
    image[:] = np.clip(image + change, 0, 255)
    return np.asarray(depth > 0.3)
