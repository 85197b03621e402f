"""Samples as named arrays of equal length, in memory or mapped from files, each with its space."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from numpy.typing import NDArray
from torch import Tensor

from training.core import Batch
from training.errors import UserError

HASHED_ROWS = 2**16
"""Of data with more rows these many, evenly spread, stand for all when data are told from other data."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples [S, ...] under names; `select` gives a view and copies nothing.

    Args:
        arrays: NumPy arrays, memory-mapped ones too. What a network sees is named `input` or `input/<name>`, what it is
            to say `target`; a `group` [S] is of samples that belong together, a `time` [S] orders them.
        spaces: what one sample holds, for the inputs and the target: Box of numbers, Discrete for classes and
            categories, Box of uint8 for images.
        source: where they are from, for errors and the log.
        labels: the names of the target's classes.
        columns: the names of the numbers of an input [S, C].
        rows: which rows of the arrays these are; None: all of them.

    Raises:
        UserError: arrays of unequal length, no samples, or an array that is not of its space.
    """

    arrays: Mapping[str, NDArray[Any]]
    spaces: Mapping[str, Space[Any]]
    source: str
    labels: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.rows is not None:  # a view of what was checked
            return
        lengths = {key: len(value) for key, value in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            told = ", ".join(f"{key} {length}" for key, length in lengths.items())
            raise UserError(f"{self.source}: every array takes as many samples: {told or 'there are none'}")
        if not len(self):
            raise UserError(f"{self.source} is empty: it has no samples")
        for key, space in self.spaces.items():
            self._check(key, self.arrays[key], space)

    def _check(self, key: str, value: NDArray[Any], space: Space[Any]) -> None:
        if isinstance(space, spaces.Discrete):
            low, high, most = int(value.min()), int(value.max()), int(space.n) - 1
            if low < 0 or high > most:
                bad = low if low < 0 else high
                row = int(np.argmax(value == bad))
                raise UserError(f"{self.source}: {key} of sample {row} is {bad}: it takes 0 to {most}")
        elif value.shape[1:] != space.shape or value.dtype != space.dtype:
            found, takes = f"{list(value.shape[1:])} {value.dtype}", f"{list(space.shape or ())} {space.dtype}"
            raise UserError(f"{self.source}: {key} is {found} a sample: it takes {takes}")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values()))) if self.rows is None else len(self.rows)

    @property
    def inputs(self) -> dict[str, Space[Any]]:
        """The spaces of what a network sees."""
        return {key: space for key, space in self.spaces.items() if key.split("/")[0] == "input"}

    @property
    def target(self) -> Space[Any]:
        """Raises UserError where there is none."""
        if "target" not in self.spaces:
            raise UserError(f"{self.source} has no target to learn: its arrays are {', '.join(self.arrays)}")
        return self.spaces["target"]

    def select(self, rows: NDArray[np.int64]) -> Dataset:
        """These samples, in this order."""
        return replace(self, rows=rows if self.rows is None else self.rows[rows])

    def gather(self, rows: Tensor) -> Batch:
        """The samples `rows` [B] as a batch [B, ...]."""
        index = rows.numpy() if self.rows is None else self.rows[rows.numpy()]
        # Fancy indexing copies, also out of a mapped file, and keeps a mapped array's class, which torch need not see.
        return {key: torch.from_numpy(np.asarray(value[index])) for key, value in self.arrays.items()}

    def array(self, key: str) -> NDArray[Any]:
        """All samples of one array [S, ...]."""
        return np.asarray(self.arrays[key] if self.rows is None else self.arrays[key][self.rows])

    def batches(self, size: int) -> Iterator[Batch]:
        """All samples in order, `size` at a time."""
        for rows in torch.arange(len(self)).split(size):
            yield self.gather(rows)

    @property
    def sha256(self) -> str:
        """Of everything that is learned from; of very many rows a part stands for all."""
        digest = hashlib.sha256()
        rows = np.unique(np.linspace(0, len(self) - 1, min(len(self), HASHED_ROWS)).astype(np.int64))
        part = self.gather(torch.from_numpy(rows))
        for key, value in sorted(part.items()):
            digest.update(f"{key} {value.dtype} {len(self)} {tuple(value.shape)}\n".encode())
            digest.update(np.ascontiguousarray(value.numpy()).data)
        return digest.hexdigest()


def numbers(shape: tuple[int, ...]) -> spaces.Box:
    """The space of any float32 numbers of this shape."""
    return spaces.Box(-np.inf, np.inf, shape, np.float32)


def pixels(shape: tuple[int, ...]) -> spaces.Box:
    """The space of images of this shape."""
    return spaces.Box(0, 255, shape, np.uint8)
