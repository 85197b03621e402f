"""Splits that differ, and rows that are in two of them."""

from __future__ import annotations

import numpy as np

from training.data.quality.between import drift, shared

RNG = np.random.default_rng(0)
ONE, OTHER = (RNG.normal(size=(size, 4)).astype(np.float32) for size in (600, 300))


def test_splits_of_one_distribution_are_alike() -> None:
    assert [*drift(ONE, OTHER, "here"), *shared(ONE, OTHER, "here")] == []


def test_a_shifted_split_drifts() -> None:
    (found,) = drift(ONE, OTHER + np.float32(1.0), "here")
    assert (found.kind, found.where) == ("drift", "here")


def test_rows_of_both_splits_leak_also_where_they_were_rounded() -> None:
    other = OTHER.copy()
    other[:30] = ONE[:30] * np.float32(1 + 1e-6)
    (found,) = shared(ONE, other, "here")
    assert list(found.rows) == list(range(30))
