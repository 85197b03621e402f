"""Faults of single columns are named with their rows, and good columns are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.data.quality.columns import constant, copies_of_target, missing, mixed_types, sentinels

RNG = np.random.default_rng(0)
GOOD = RNG.normal(size=(200, 3)).astype(np.float32)
NAMES = ("a", "b", "c")


def test_good_columns_have_no_fault() -> None:
    assert [*missing(GOOD, NAMES), *sentinels(GOOD, NAMES), *constant(GOOD, NAMES)] == []
    target = (GOOD[:, 0] + RNG.normal(size=200) > 0).astype(np.int64)
    assert list(copies_of_target(GOOD, NAMES, target)) == []
    assert list(copies_of_target(GOOD, NAMES, (GOOD[:, 0] + 0.1 * RNG.normal(size=200)).astype(np.float32))) == []


def test_missing_values_and_what_stands_for_them() -> None:
    table = GOOD.copy()
    table[[3, 5], 1] = np.nan, np.inf
    table[[7, 9], 2] = -999
    (hole,), (stand_in,) = list(missing(table, NAMES)), list(sentinels(table, NAMES))
    assert (hole.where, list(hole.rows)) == ("b", [3, 5])
    assert (stand_in.where, list(stand_in.rows)) == ("c", [7, 9])


def test_a_number_that_the_others_surround_stands_for_itself() -> None:
    table = np.linspace(0, 2_000, 201, dtype=np.float32)[:, None].repeat(2, 0)
    table[:4] = 999
    assert list(sentinels(table, ("euros",))) == []


def test_columns_that_do_not_vary() -> None:
    table = GOOD.copy()
    table[:, 0], table[:, 1] = 7, np.nan
    assert [finding.says for finding in constant(table, NAMES)] == ["every value is 7", "there is no value"]


def test_a_column_that_is_the_target() -> None:
    target = RNG.integers(0, 3, 200)
    table = np.column_stack([GOOD, target * 5.0]).astype(np.float32)
    (leak,) = copies_of_target(table, (*NAMES, "code"), target)
    assert (leak.kind, leak.where) == ("target leak", "code")
    (leak,) = copies_of_target(table, (*NAMES, "code"), np.exp(table[:, 1]))
    assert leak.where == "b"


def test_words_among_numbers_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    rows = [f"{n},{'12 m' if n == 4 else n / 2},word{n}" for n in range(20)]
    file.write_text("\n".join(["id,height,name", *rows]) + "\n")
    (found,) = mixed_types(file)
    assert (found.kind, found.where, list(found.rows)) == ("types", "height", [4])
    assert "'12 m'" in found.says
