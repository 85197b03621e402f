"""Faults of single columns: missing values and what stands for them, no variation, a copy of the target."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.quality.finding import Finding
from training.extras import extra

STANDS_FOR_MISSING = (-99999.0, -9999.0, -999.0, -99.0, 999.0, 9999.0, 99999.0)
APART = 3.0
"""So many times the spread of all other values such a number lies apart from these."""
COPIED = 0.9995
NUMBERS = 0.8
"""A column of which so many words are numbers was meant to be numbers."""
READ_ROWS = 100_000

Table = NDArray[np.float32]


def missing(table: Table, names: Sequence[str]) -> Iterator[Finding]:
    """Values that are not finite."""
    for name, column in zip(names, table.T, strict=True):
        rows = np.flatnonzero(~np.isfinite(column))
        if len(rows):
            said = f"{len(rows):,} of {len(column):,} values are missing or not finite"
            change = "fill them in (model.preprocessing.impute_median), or leave these rows out"
            yield Finding("missing", name, said, len(rows) / len(column), rows.tolist(), change)


def sentinels(table: Table, names: Sequence[str]) -> Iterator[Finding]:
    """Numbers such as -999 that stand for nothing: repeated, and far from all other values."""
    for name, column in zip(names, table.T, strict=True):
        for value in STANDS_FOR_MISSING:
            rows = np.flatnonzero(column == value)
            others = column[np.isfinite(column) & (column != value)]
            if len(rows) < 2 or not len(others):
                continue
            low, high = float(others.min()), float(others.max())
            away = low - value if value < low else value - high
            if away > APART * max(float(others.std()), 1e-12):
                said = f"{value:g} is there {len(rows):,} times, and all other values lie from {low:g} to {high:g}"
                yield Finding("sentinel", name, said, len(rows) / len(column), rows.tolist(), "make it a missing value")


def constant(table: Table, names: Sequence[str]) -> Iterator[Finding]:
    """Columns that say nothing."""
    for name, column in zip(names, table.T, strict=True):
        seen = column[np.isfinite(column)]
        if not len(seen) or float(seen.min()) == float(seen.max()):
            said = f"every value is {seen[0]:g}" if len(seen) else "there is no value"
            yield Finding("constant", name, said, 1.0, (), "leave the column out")


def copies_of_target(table: Table, names: Sequence[str], target: NDArray[np.generic]) -> Iterator[Finding]:
    """Columns that alone give the target away: would they be known when it is to be said?"""
    with extra("data"):
        from scipy.stats import spearmanr
        from sklearn.model_selection import cross_val_score
        from sklearn.tree import DecisionTreeClassifier
    classes = np.issubdtype(target.dtype, np.integer)
    rarest = int(np.bincount(target.astype(np.int64)).min()) if classes else 0
    for name, column in zip(names, table.T, strict=True):
        known = np.isfinite(column)
        if known.sum() < 20 or float(column[known].min()) == float(column[known].max()):
            continue
        if classes:
            if rarest < 3:
                return
            kinds = int(target.max()) + 1
            tree = DecisionTreeClassifier(max_leaf_nodes=4 * kinds, random_state=0)
            score = float(cross_val_score(tree, column[known, None], target[known], cv=3).mean())
        else:
            score = abs(float(spearmanr(column[known], target[known].reshape(known.sum(), -1)[:, 0]).statistic))
        if score >= COPIED:
            said = f"it alone gives the target away ({100 * score:.1f} %)"
            yield Finding("target leak", name, said, 1.0, (), "leave it out, unless it is known before the target")


def mixed_types(path: Path) -> Iterator[Finding]:
    """Columns of a CSV file that hold numbers and, in a few rows, words."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        sample = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter=max(",;\t|", key=sample.count))
        rows = [row for _, row in zip(range(READ_ROWS), reader, strict=False)]
    for name in reader.fieldnames or ():
        words = [(index, row[name]) for index, row in enumerate(rows) if row.get(name)]
        bad = [(index, word) for index, word in words if not _is_number(word)]
        if bad and len(bad) < (1 - NUMBERS) * len(words):
            said = f"{len(words) - len(bad):,} values are numbers and {len(bad):,} are words, such as {bad[0][1]!r}"
            share = len(bad) / len(words)
            yield Finding("types", name, said, share, [index for index, _ in bad], "write them as numbers or nothing")


def _is_number(word: str) -> bool:
    with suppress(ValueError):
        float(word)
        return True
    return word.strip().lower() in ("na", "n/a", "null", "none")
