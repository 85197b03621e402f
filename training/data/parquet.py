"""Tables that are larger than memory: written once, part by part, as files that are mapped, then read by row.

Parquet is compressed, so its rows cannot be picked from the file. What this writes is a folder of `.npy` files, which
`sources.numpy_dataset` maps: only the rows of a minibatch are read.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.tables import MOST_CLASSES, TargetKind, are_classes, require_present
from training.errors import UserError
from training.extras import extra


def map_parquet(
    path: str | Path, folder: str | Path, *, target: str, inputs: Sequence[str], target_kind: TargetKind = "auto"
) -> Path:
    """Writes columns of a Parquet file as `input.npy` [S, inputs] float32 and `target.npy`; returns the folder.

    It is written under another name first, so that an interrupted folder is never taken for a whole one; a folder that
    is there already is kept. `target_kind` is that of `tables.table`; classes are whole numbers from 0. Memory holds
    one row group at a time.

    Raises:
        UserError: the file cannot be read, lacks a column, or one is not of numbers; a target is missing.
    """
    path, folder = Path(path), Path(folder)
    if folder.exists():
        return folder
    with extra("data"):
        import pyarrow as pa
        from pyarrow import parquet
    try:
        file = parquet.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read as a table ({' '.join(str(error).split())[:200]})") from None
    schema = file.schema_arrow
    for name in (*inputs, target):
        if name not in schema.names:
            raise UserError(f"{path} has no column {name!r}: it has {', '.join(schema.names)}")
        kind = schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise UserError(f"{path}: column {name!r} holds {kind}: it takes numbers")
    is_class = _holds_classes(path, file, target, target_kind)
    print(f"{path}: {target!r} is taken for {'classes' if is_class else 'a quantity'}", file=sys.stderr)
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    rows = file.metadata.num_rows
    arrays: dict[str, NDArray[Any]] = {
        "input": _new(unfinished / "input.npy", (rows, len(inputs)), np.float32),
        "target": _new(unfinished / "target.npy", (rows,), np.int64 if is_class else np.float32),
    }
    begin = 0
    for part in _parts(file, inputs, target):
        end = begin + len(part["target"])
        for name, values in part.items():
            arrays[name][begin:end] = values
        begin = end
    for array in arrays.values():
        array.flush()  # type: ignore[attr-defined]
    unfinished.rename(folder)
    return folder


def _new(file: Path, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    return np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)


def _parts(file: Any, inputs: Sequence[str], target: str) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The rows of one row group after another."""
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=[*inputs, target])
        columns = [np.asarray(table.column(name).to_numpy(), np.float32) for name in inputs]
        yield {"input": np.stack(columns, 1), "target": np.asarray(table.column(target).to_numpy())}


def _holds_classes(path: Path, file: Any, target: str, kind: TargetKind) -> bool:
    """Whether the targets are classes; reads them all."""
    missing, whole, kinds = 0, True, np.empty(0)
    for group in range(file.num_row_groups):
        column = file.read_row_group(group, columns=[target]).column(target)
        values = np.asarray(column.to_numpy(), np.float64)
        missing += int(np.isnan(values).sum())
        whole = whole and bool((values == np.round(values)).all())
        kinds = np.union1d(kinds, values)[: MOST_CLASSES + 1]
    rows = file.metadata.num_rows
    require_present(path, target, missing, rows)
    if kind == "classes" and not whole:
        raise UserError(f"{path}: column {target!r} holds other than whole numbers: classes take whole numbers from 0")
    return kind == "classes" or (kind == "auto" and whole and are_classes(len(kinds), rows))
