"""Splits depend on the seed only, keep what belongs together, and find what is planted in two of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from gymnasium import spaces

from training.data.dataset import Dataset, numbers
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, Splits, check_classes, check_leaks, split, without_duplicates
from training.errors import UserError

ROWS = 200


def dataset(**more: np.ndarray) -> Dataset:
    rng = np.random.default_rng(0)
    arrays = {
        "input": rng.normal(size=(ROWS, 3)).astype(np.float32),
        "target": np.tile([0, 1, 2, 2], ROWS // 4),
        **more,
    }
    return Dataset(arrays, {"input": numbers((3,)), "target": spaces.Discrete(3)}, "made up", labels=("a", "b", "c"))


def rows_of(splits: Splits) -> list[list[int]]:
    return [part.rows.tolist() for part in splits if part.rows is not None]


@pytest.mark.parametrize("kind", ["random", "stratified", "grouped", "temporal"])
def test_every_sample_is_in_one_split_of_about_its_size_which_the_seed_decides(kind: str) -> None:
    key = {"grouped": "group", "temporal": "time"}.get(kind)
    data = dataset(**({key: np.arange(ROWS) // 4} if key else {}))
    config = SplitConfig(kind=kind, validation=0.2, test=0.3)  # type: ignore[arg-type]
    found = rows_of(split(data, config, seed=1))
    assert sorted(itertools.chain(*found)) == list(range(ROWS))
    assert [len(rows) for rows in found] == [100, 40, 60]
    assert config.test_per_train == pytest.approx(60 / 100)
    assert rows_of(split(data, config, seed=1)) == found
    assert (rows_of(split(data, config, seed=2)) == found) == (kind == "temporal")


def test_stratified_gives_every_split_its_part_of_each_class() -> None:
    for part, sizes in zip(
        split(dataset(), SplitConfig("stratified", 0.2, 0.2), seed=3),
        ([30, 30, 60], [10, 10, 20], [10, 10, 20]),
        strict=True,
    ):
        assert np.bincount(part.array("target")).tolist() == sizes


def test_grouped_keeps_groups_whole_and_random_does_not() -> None:
    data = dataset(group=np.arange(ROWS) // 7)
    parts = [set(part.array("group")) for part in split(data, SplitConfig("grouped"), seed=1)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    with pytest.raises(UserError, match=r"group \d+ is in train and in validation; split.kind = 'grouped'"):
        split(data, SplitConfig("random"), seed=1)


def test_temporal_puts_the_latest_last_and_moments_on_one_side() -> None:
    time = np.random.default_rng(1).integers(0, 40, ROWS)
    train, validation, test = (
        part.array("time") for part in split(dataset(time=time), SplitConfig("temporal"), seed=1)
    )
    assert train.max() < validation.min() <= validation.max() < test.min()
    with pytest.raises(UserError, match=r"split\.kind = 'temporal' divides by time"):
        split(dataset(time=time), SplitConfig("random"), seed=1)


def test_a_planted_duplicate_is_found_or_left_out_of_the_earlier_split() -> None:
    data = dataset()
    clean = split(data, SplitConfig(), seed=1)
    assert clean.train.rows is not None
    assert clean.test.rows is not None
    check_leaks(clean)
    data.arrays["input"][clean.train.rows[5]] = data.arrays["input"][clean.test.rows[2]]
    with pytest.raises(UserError, match=r"1 inputs are in train and in test, such as sample 2 of test"):
        split(data, SplitConfig(), seed=1)
    dropped = split(data, SplitConfig(leaks="drop"), seed=1)
    assert [len(part) for part in dropped] == [len(clean.train) - 1, len(clean.validation), len(clean.test)]
    assert len(without_duplicates(dropped).train) == len(dropped.train)
    same = of_arrays(np.ones((30, 2)), np.arange(30) % 2, "made up")
    with pytest.raises(UserError, match="every sample of the train split of made up is in a later split too"):
        split(same, SplitConfig(leaks="drop"), seed=1)


def test_a_class_that_training_never_sees_is_told() -> None:
    data = dataset()
    rare = np.flatnonzero(data.array("target") == 1)
    rest = np.setdiff1d(np.arange(ROWS), rare)
    with pytest.raises(UserError, match=r"class 1 \(b\) is absent from the training split"):
        check_classes(Splits(data.select(rest[:50]), data.select(rest[50:]), data.select(rare)))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: SplitConfig(test=0.0), "test = 0.0: it takes a fraction between 0 and 1"),
        (lambda: SplitConfig(validation=0.5, test=0.5), "less than 1 - validation"),
        (lambda: split(dataset(), SplitConfig("grouped"), seed=1), "made up has no 'group' to split by"),
        (
            lambda: split(dataset().select(np.arange(3)), SplitConfig(), seed=1),
            "the validation split of made up would be",
        ),
    ],
)
def test_what_cannot_be_divided_is_told(make: object, told: str) -> None:
    with pytest.raises(UserError, match=told):
        make()  # type: ignore[operator]
