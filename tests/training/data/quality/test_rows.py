"""Rows that are there twice, nearly twice, or far from all others."""

from __future__ import annotations

import numpy as np

from training.data.quality.rows import near_and_far, repeated, standardized

TABLE = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)


def test_good_rows_have_no_fault() -> None:
    assert [*repeated(TABLE), *near_and_far(TABLE)] == []


def test_repeated_rows_are_wrong_where_they_are_many() -> None:
    (few,) = repeated(np.concatenate([TABLE, TABLE[:1]]))
    (many,) = repeated(np.concatenate([TABLE, TABLE[:10]]))
    assert (few.level, list(few.rows)) == ("note", [300])
    assert (many.level, list(many.rows)) == ("wrong", list(range(300, 310)))


def test_rows_that_differ_by_next_to_nothing() -> None:
    again = TABLE[:10] + np.float32(1e-4)
    (near,) = near_and_far(np.concatenate([TABLE, again]))
    assert (near.kind, list(near.rows), near.level) == ("near duplicates", list(range(300, 310)), "wrong")


def test_rows_that_are_far_from_all_others_come_in_that_order() -> None:
    table = TABLE.copy()
    table[5], table[9] = 300.0, -900.0
    (far,) = near_and_far(table)
    assert (far.kind, list(far.rows)) == ("outliers", [9, 5])


def test_rows_with_holes_are_not_compared() -> None:
    table = TABLE.copy()
    table[0, 0] = np.nan
    scaled, kept = standardized(table)
    assert len(scaled) == 299
    assert kept[0] == 1
