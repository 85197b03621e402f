"""Faults of rows: the same twice, nearly the same twice, and those that are far from all others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.data.quality.finding import Finding
from training.extras import extra

NEIGHBOURS = 5
NEAR = 0.01
"""Of the median distance to the next row. In six real tables and the digits the nearest two rows had 0.08 to 0.67."""
FAR = 20.0
"""Times the median distance to the fifth next row. In these the farthest row had 2 to 13."""
FEW = 0.01
"""Repetitions of fewer rows are only noted."""


def repeated(table: NDArray[np.float32]) -> Iterator[Finding]:
    """Rows whose inputs are the same as those of an earlier row."""
    _, first = np.unique(np.nan_to_num(table, nan=np.inf), axis=0, return_index=True)
    rows = np.setdiff1d(np.arange(len(table)), first)
    if len(rows):
        share = len(rows) / len(table)
        said = f"{len(rows):,} rows have the same inputs as an earlier one"
        level = "wrong" if share >= FEW else "note"
        change = "leave them out before the data are split (split.leaks = 'drop' keeps them out of two splits)"
        yield Finding("duplicates", "all inputs", said, share, rows.tolist(), change, level)


def near_and_far(table: NDArray[np.float32]) -> Iterator[Finding]:
    """Rows that are nearly the same as another one, and rows without any that is like them."""
    scaled, kept = standardized(table)
    if len(scaled) <= 2 * NEIGHBOURS or not scaled.shape[1]:
        return
    with extra("data"):
        from sklearn.neighbors import NearestNeighbors
    distances, others = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(scaled).kneighbors(scaled)
    # The first is the row itself, unless another is the same: that is a duplicate and not here.
    nearest = np.where(distances[:, 1] > 0, distances[:, 1], np.inf)
    usual = float(np.median(nearest[np.isfinite(nearest)])) if np.isfinite(nearest).any() else 0.0
    near = np.flatnonzero((nearest < NEAR * usual) & (others[:, 1] < np.arange(len(scaled))))
    if len(near):
        said = f"{len(near):,} rows differ from another one by less than {100 * NEAR:.0f} % of the usual distance"
        yield Finding("near duplicates", "all inputs", said, len(near) / len(table), kept[near].tolist(),
                      "keep one of each, or give both a group and split.kind = 'grouped'",
                      "wrong" if len(near) >= FEW * len(table) else "note")  # fmt: skip
    spread = distances[:, NEIGHBOURS]
    usual = float(np.median(spread))
    far = np.flatnonzero(spread > FAR * usual) if usual > 0 else np.array([], np.int64)
    if len(far):
        far = far[np.argsort(-spread[far])]
        said = f"{len(far):,} rows are more than {FAR:.0f} times as far from their neighbours as usual"
        yield Finding("outliers", "all inputs", said, len(far) / len(table), kept[far].tolist(),
                      "look at them: another unit, a wrong sign, a fault of the sensor?")  # fmt: skip


def standardized(table: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The rows without missing values, by their columns' deviations, and which rows these are."""
    kept = np.flatnonzero(np.isfinite(table).all(1))
    values = table[kept].astype(np.float64)
    if not len(values):
        return values, kept
    values = values[:, values.std(0) > 0]
    return (values - values.mean(0)) / values.std(0) if values.size else values, kept
