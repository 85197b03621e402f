"""The report on data: every check on the training split, and those between the splits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.data.quality import between, columns, labels, rows
from training.data.quality.finding import DataReport, Finding
from training.data.splits import Splits
from training.errors import UserError
from training.run.files import read_json, write_json

REPORT = "data_report.json"
MOST_ROWS = 5_000
"""Of larger data so many, drawn at random, are looked at for what compares rows with rows."""
Quality = Literal["none", "warn", "refuse"]


def examine(data: Dataset | Splits, *, seed: int = 0) -> DataReport:
    """Looks at the training split, and at what is between it and the others; the test split's labels are not read."""
    train = data.train if isinstance(data, Splits) else data
    sample = _sample(train, seed)
    found = list(_of_dataset(train, sample, seed))
    if isinstance(data, Splits):
        table, _ = as_table(train.select(sample))
        for name in ("validation", "test"):
            part: Dataset = getattr(data, name)
            other, _ = as_table(part.select(_sample(part, seed)))
            found += between.drift(table, other, f"train and {name}", seed=seed)
            found += between.shared(table, other, f"train and {name}")
    which = f"{len(train):,} rows"
    if len(sample) < len(train):
        which += f", of which {len(sample):,} drawn at random were compared with each other"
    return DataReport(train.source, which, found)


def check(data: Splits, quality: Quality, folder: Path, *, seed: int = 0) -> None:
    """Before training: writes the report into the run's folder and tells it. Raises UserError where it is refused."""
    if quality == "none":
        return
    file = folder / REPORT
    report = DataReport.of(read_json(file)) if file.exists() else examine(data, seed=seed)
    if not file.exists():
        write_json(file, report.as_json())
        for line in report.lines():
            print(line, file=sys.stderr)
    if quality == "refuse" and report.wrong:
        first = report.wrong[0]
        more = f", and {len(report.wrong) - 1} more" if len(report.wrong) > 1 else ""
        raise UserError(f"{report.source}: {first.kind}, {first.where}: {first.says}{more}; quality = 'warn' trains")


def as_table(data: Dataset) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """All inputs as columns [S, C] and their names; images as pixels, categories as numbers."""
    parts: list[NDArray[np.float32]] = []
    names: list[str] = []
    for key in data.inputs:
        values = data.array(key).reshape(len(data), -1).astype(np.float32)
        short = key.removeprefix("input/")
        own = data.columns if values.shape[1] == len(data.columns) and key in ("input", "input/numbers") else None
        names += own or ([short] if values.shape[1] == 1 else [f"{short} {place}" for place in range(values.shape[1])])
        parts.append(values)
    return np.concatenate(parts, axis=1), tuple(names)


def _of_dataset(data: Dataset, sample: NDArray[np.int64], seed: int) -> Iterator[Finding]:
    table, names = as_table(data)
    pictures = any(space.dtype == np.uint8 for space in data.inputs.values())
    if not pictures:  # a pixel at the edge is constant, and 99 is a grey
        yield from columns.missing(table, names)
        yield from columns.sentinels(table, names)
        yield from columns.constant(table, names)
    yield from rows.repeated(table)
    seen = table[sample]
    yield from (_in_all(finding, sample) for finding in rows.near_and_far(seen))
    if "target" not in data.spaces:
        return
    target = data.array("target")
    if not pictures:
        yield from columns.copies_of_target(seen, names, target[sample])
    if isinstance(data.spaces["target"], spaces.Discrete):
        yield from labels.imbalance(target, data.labels)
        groups = data.array("group")[sample] if "group" in data.arrays else None
        found = labels.label_errors(seen, target[sample], groups, seed=seed)
        yield from (_in_all(finding, sample) for finding in found)


def _sample(data: Dataset, seed: int) -> NDArray[np.int64]:
    if len(data) <= MOST_ROWS:
        return np.arange(len(data))
    return np.sort(np.random.default_rng(seed).choice(len(data), MOST_ROWS, replace=False))


def _in_all(finding: Finding, sample: NDArray[np.int64]) -> Finding:
    """With the rows' numbers in all of the data."""
    return replace(finding, rows=sample[np.array(finding.rows, np.int64)].tolist())
