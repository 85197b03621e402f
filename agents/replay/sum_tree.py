"""A sum tree: draws rows in proportion to their priorities, many at once (Schaul et al. 2016, appendix B.2.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class SumTree:
    """Numbers of at least 0, one for each row, with the sums of ever larger groups of them; all float64.

    Nodes are in one array: node 1 is the root, the children of node i are 2 i and 2 i + 1, the rows are the last level.
    """

    def __init__(self, rows: int) -> None:
        self._depth = _depth(rows)
        self._first_leaf = 2**self._depth
        self._sums = np.zeros(2 * self._first_leaf)
        self._rows = rows

    @property
    def total(self) -> float:
        return float(self._sums[1])

    @staticmethod
    def nbytes_for(rows: int) -> int:
        """Of memory that a tree of so many rows takes."""
        return 16 << _depth(rows)

    @property
    def nbytes(self) -> int:
        return self._sums.nbytes

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers of all rows [rows]: a view."""
        return self._sums[self._first_leaf : self._first_leaf + self._rows]

    def __getitem__(self, rows: Rows) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self._sums[rows + self._first_leaf]
        return found

    def set(self, rows: Rows, values: Any) -> None:
        """Gives `rows` [B] new numbers; of a row that is there twice, the last one counts."""
        nodes = rows + self._first_leaf
        self._sums[nodes] = values
        for _ in range(self._depth):
            nodes = nodes >> 1
            self._sums[nodes] = self._sums[2 * nodes] + self._sums[2 * nodes + 1]

    def find(self, mass: NDArray[np.float64]) -> Rows:
        """The row in whose share of [0, total) each `mass` [B] lies; never one whose number is 0."""
        node = np.ones(len(mass), np.int64)
        for _ in range(self._depth):
            left, right = self._sums[2 * node], self._sums[2 * node + 1]
            # Rounded sums may leave a little mass beyond the last row that has any.
            goes_right = (mass >= left) & (right > 0)
            mass = mass - left * goes_right
            node = 2 * node + goes_right
        rows: Rows = node - self._first_leaf
        return rows

    def load(self, values: NDArray[np.float64]) -> None:
        """The tree that has these numbers [rows], with the same sums as if they had been set one by one."""
        self._sums[:] = 0.0
        self.values[: len(values)] = values
        for level in range(self._depth - 1, -1, -1):
            nodes = np.arange(2**level, 2 ** (level + 1))
            self._sums[nodes] = self._sums[2 * nodes] + self._sums[2 * nodes + 1]


def _depth(rows: int) -> int:
    return max(1, (rows - 1).bit_length())
