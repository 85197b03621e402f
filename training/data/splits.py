"""Splits of a dataset for training, validation and test, and checks for leaks that would invalidate the test.

A split depends on the seed and on the data, and on nothing else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.errors import UserError, require
from training.seeding import generator

Rows = NDArray[np.int64]
HASHED_AT_A_TIME = 4096


class Splits(NamedTuple):
    """What is learned from, what decides when to stop, and what is measured once."""

    train: Dataset
    validation: Dataset
    test: Dataset


@dataclass(frozen=True)
class SplitConfig:
    """How samples are divided. The rest, after validation and test, is trained on."""

    kind: Literal["random", "stratified", "grouped", "temporal"] = "random"
    """stratified: each class of `target` alike; grouped: each `group` on one side; temporal: by `time`, latest last."""
    validation: float = 0.15
    test: float = 0.15
    leaks: Literal["refuse", "drop"] = "refuse"
    """Of samples that are the same in two splits: an error, or they are left out of the earlier split."""

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            require(0 < getattr(self, name) < 1, name, getattr(self, name), "a fraction between 0 and 1")
        require(self.validation + self.test < 1, "test", self.test, f"less than 1 - validation = {1 - self.validation}")

    @property
    def test_per_train(self) -> float:
        """Samples to test on for each one to learn from: by it the scores of seeds that split anew are correlated."""
        return self.test / (1 - self.validation - self.test)


def split(data: Dataset, config: SplitConfig, *, seed: int) -> Splits:
    """Divides the samples; raises UserError where a split would be empty or share what it must not."""
    rng = np.random.default_rng(generator(seed, "split").initial_seed())
    divide = {"random": _random, "stratified": _stratified, "grouped": _grouped, "temporal": _temporal}[config.kind]
    parts = divide(data, config, rng)
    for name, rows in zip(Splits._fields, parts, strict=True):
        if not len(rows):
            raise UserError(f"split.kind = {config.kind!r}: the {name} split of {data.source} would be empty")
    splits = Splits(*(data.select(np.sort(rows)) for rows in parts))
    if config.leaks == "drop":
        splits = without_duplicates(splits)
        for name, part in zip(Splits._fields, splits, strict=True):
            if not len(part):
                raise UserError(
                    f"split.leaks = 'drop': every sample of the {name} split of {data.source} is in a later split too; "
                    "it takes a dataset with more that differ"
                )
    check_leaks(splits)
    check_classes(splits)
    return splits


def check_leaks(splits: Splits) -> None:
    """Raises UserError, naming the first of them, when splits share samples or groups, or overlap in time."""
    hashes = [_hashes(part) for part in splits]
    for (first, one), (second, other) in _pairs(hashes):
        if shared := set(one) & set(other):
            row = next(iter(np.flatnonzero([key in shared for key in other])))
            told = f"{len(shared)} inputs are in {first} and in {second}, such as sample {row} of {second}"
            raise UserError(f"{splits.train.source} leaks: {told}; split.leaks = 'drop' leaves them out of {first}")
    if "group" in splits.train.arrays:
        groups = [np.unique(part.array("group")) for part in splits]
        for (first, one), (second, other) in _pairs(groups):
            shared_groups = np.intersect1d(one, other)
            if len(shared_groups):
                told = f"group {shared_groups[0]} is in {first} and in {second}"
                raise UserError(f"{splits.train.source} leaks: {told}; split.kind = 'grouped' keeps groups whole")
    if "time" in splits.train.arrays:
        times = [part.array("time") for part in splits]
        for (first, one), (second, other) in zip(_named(times), _named(times)[1:], strict=False):
            if one.max() >= other.min():
                told = f"{first} ends at time {one.max()}, {second} begins at {other.min()}"
                raise UserError(f"{splits.train.source} leaks: {told}; split.kind = 'temporal' divides by time")


def check_classes(splits: Splits) -> None:
    """Raises UserError when a class that is to be told apart is not in the training split."""
    space = splits.train.spaces.get("target")
    if not isinstance(space, spaces.Discrete):
        return
    missing = np.setdiff1d(np.arange(int(space.n)), splits.train.array("target"))
    if len(missing):
        labels = splits.train.labels
        name = f" ({labels[missing[0]]})" if labels else ""
        raise UserError(
            f"{splits.train.source}: class {missing[0]}{name} is absent from the training split; "
            "split.kind = 'stratified' gives every split its part of each class"
        )


def without_duplicates(splits: Splits) -> Splits:
    """Every input only in the last split that has it, so that nothing measured was learned."""
    parts: list[Dataset] = []
    later: set[bytes] = set()
    for part in reversed(splits):
        own = _hashes(part)
        parts.insert(0, part.select(np.flatnonzero([key not in later for key in own])))
        later |= set(own)
    return Splits(*parts)


def _random(data: Dataset, config: SplitConfig, rng: np.random.Generator) -> tuple[Rows, Rows, Rows]:
    return _cut(rng.permutation(len(data)), config)


def _stratified(data: Dataset, config: SplitConfig, rng: np.random.Generator) -> tuple[Rows, Rows, Rows]:
    require(
        isinstance(data.target, spaces.Discrete), "split.kind", config.kind, "'random' for a target without classes"
    )
    target = data.array("target")
    parts = [_cut(rng.permutation(np.flatnonzero(target == label)), config) for label in np.unique(target)]
    train, validation, test = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    return train, validation, test


def _grouped(data: Dataset, config: SplitConfig, rng: np.random.Generator) -> tuple[Rows, Rows, Rows]:
    """Groups in random order: to the test until it has its part, then to the validation, then to the training."""
    _, of_row, sizes = np.unique(_of(data, "group"), return_inverse=True, return_counts=True)
    order = rng.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]  # the rows of the groups before each
    side = np.zeros(len(sizes), np.int64)
    side[order[before < (config.test + config.validation) * len(data)]] = 1
    side[order[before < config.test * len(data)]] = 2
    train, validation, test = (np.flatnonzero(side[of_row] == number) for number in range(3))
    return train, validation, test


def _temporal(data: Dataset, config: SplitConfig, _: np.random.Generator) -> tuple[Rows, Rows, Rows]:
    """What happened at the same time stays together."""
    time = _of(data, "time")
    moments = np.sort(time)
    first_test = moments[round(len(data) * (1 - config.test))]
    first_validation = moments[round(len(data) * (1 - config.test - config.validation))]
    inside = (time >= first_validation) & (time < first_test)
    return np.flatnonzero(time < first_validation), np.flatnonzero(inside), np.flatnonzero(time >= first_test)


def _cut(order: Rows, config: SplitConfig) -> tuple[Rows, Rows, Rows]:
    test, validation = round(config.test * len(order)), round(config.validation * len(order))
    return order[test + validation :], order[test : test + validation], order[:test]


def _of(data: Dataset, key: str) -> NDArray[np.generic]:
    if key not in data.arrays:
        raise UserError(f"{data.source} has no {key!r} to split by: its arrays are {', '.join(data.arrays)}")
    return data.array(key)


def _hashes(data: Dataset) -> list[bytes]:
    """A hash of the inputs of each sample."""
    found: list[bytes] = []
    keys = sorted(data.inputs)
    for rows in torch.arange(len(data)).split(HASHED_AT_A_TIME):
        part = data.gather(rows)
        arrays = [part[key].numpy().reshape(len(rows), -1) for key in keys]
        sides = [np.ascontiguousarray(array).view(np.uint8) for array in arrays]
        found += [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in np.concatenate(sides, axis=1)]
    return found


def _named(parts: list[NDArray[np.generic]]) -> list[tuple[str, NDArray[np.generic]]]:
    return list(zip(Splits._fields, parts, strict=True))


def _pairs(parts: list) -> list:  # type: ignore[type-arg]
    """Each split with each later one, by name."""
    named = list(zip(Splits._fields, parts, strict=True))
    return [(named[i], named[j]) for i in range(3) for j in range(i + 1, 3)]
