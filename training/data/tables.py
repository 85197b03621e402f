"""Tables as people have them: CSV and Parquet files."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from training.data.dataset import Dataset, numbers
from training.errors import UserError, require
from training.extras import extra

TargetKind = Literal["auto", "classes", "numbers"]
MOST_CLASSES = 20
"""Whole numbers of more kinds than these are a quantity."""
TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class TextFormat:
    """How a CSV file is written."""

    encoding: str = "utf-8"
    separator: str | None = None
    """None: the one of `,`, `;`, tab and `|` that is most often in the first line."""
    decimal_point: str = "."
    missing: tuple[str, ...] | None = None
    """What stands for a missing value, beside nothing at all; None: NA, N/A, NULL, NaN and their like."""

    def __post_init__(self) -> None:
        for name in ("separator", "decimal_point"):
            value = getattr(self, name)
            require(value is None or len(value) == 1, name, value, "one character")


def table(
    path: str | Path,
    *,
    target: str,
    inputs: Sequence[str] | None = None,
    group: str | None = None,
    time: str | None = None,
    target_kind: TargetKind = "auto",
    categories: Sequence[str] = (),
    text: TextFormat = TextFormat(),
) -> Dataset:
    """A CSV or Parquet file, or a folder of Parquet files: numbers as one input, each column of words as categories.

    What was taken for what is printed in one line.

    Args:
        path: to it; what ends in .csv, .tsv or .txt is CSV.
        target: the column that is to be said.
        inputs: the columns that are seen; None: all others.
        group: the column of what belongs together.
        time: the column that orders the rows.
        target_kind: whether the target's values are classes or a quantity. auto: words are classes, and so are whole
            numbers of at most 20 kinds that come twice or more on average; all other numbers are a quantity.
        categories: inputs whose whole numbers are categories, such as codes; other numbers are a quantity.
        text: how a CSV file is written.

    Raises:
        UserError: it cannot be read, has no rows, lacks a column or has it twice; a column holds neither numbers nor
            words; a word or a target is missing; there is one class only.
    """
    path = Path(path)
    read = _read_text_table(path, text) if path.suffix.lower() in TEXT_SUFFIXES else _read_parquet(path)
    names = _input_names(path, read, target, inputs, [name for name in (group, time) if name], categories)
    columns = {name: _input_column(path, name, read.column(name), is_category=name in categories) for name in names}
    numeric = [name for name, (_, words) in columns.items() if words is None]
    found: dict[str, NDArray[Any]] = {}
    spaces_: dict[str, Space[Any]] = {}
    if numeric:
        key = "input" if len(numeric) == len(names) else "input/numbers"
        found[key] = np.stack([columns[name][0] for name in numeric], axis=1).astype(np.float32)
        spaces_[key] = numbers((len(numeric),))
    for name, (values, words) in columns.items():
        if words is not None:
            found[f"input/{name}"], spaces_[f"input/{name}"] = values, spaces.Discrete(len(words))
    found["target"], labels, why = _target(path, target, read.column(target), target_kind)
    spaces_["target"] = spaces.Discrete(len(labels)) if labels else numbers(())
    for key, named in (("group", group), ("time", time)):
        if named:
            found[key] = _key_column(path, named, read.column(named))
    kinds = f"{len(numeric)} columns of numbers and {len(names) - len(numeric)} of categories"
    print(f"{path}: {read.num_rows:,} rows, {kinds}; {target!r} {why}", file=sys.stderr)
    return Dataset(found, spaces_, str(path), labels=labels, columns=tuple(numeric))


def are_classes(kinds: int, rows: int) -> bool:
    """Whether whole numbers of so many kinds in so many rows are taken for classes."""
    return kinds <= min(MOST_CLASSES, rows / 2)


def _input_names(
    path: Path, read: Any, target: str, inputs: Sequence[str] | None, keys: Sequence[str], categories: Sequence[str]
) -> list[str]:
    present = Counter(read.column_names)
    for name, times in present.items():
        if times > 1:
            raise UserError(f"{path} has {times} columns with the name {name!r}: it takes one")
    names = list(inputs) if inputs is not None else [name for name in present if name not in {target, *keys}]
    for name in (*names, target, *keys, *categories):
        if name not in present:
            raise UserError(f"{path} has no column {name!r}: it has {', '.join(present)}")
    if not read.num_rows:
        raise UserError(f"{path} has no rows, only the names of columns")
    for name in names:
        if name in {target, *keys}:
            raise UserError(
                f"{path}: column {name!r} is an input and the target, group or time too: it takes one of them"
            )
    for name in categories:
        if name not in names:
            raise UserError(f"{path}: categories = {name!r}: it takes inputs: {', '.join(names)}")
    if not names:
        raise UserError(f"{path} has no column beside {target!r} to learn from")
    return names


def _read_parquet(path: Path) -> Any:
    with extra("data"):
        import pyarrow as pa
        from pyarrow import parquet
    try:
        return parquet.read_table(path, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read as a table ({' '.join(str(error).split())[:200]})") from None


def _read_text_table(path: Path, text: TextFormat) -> Any:
    with extra("data"):
        import pyarrow as pa
        from pyarrow import csv
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    if not content.strip():
        raise UserError(f"{path} is empty: it takes a first line with the names of the columns, and rows")
    # pyarrow would take a column with an odd byte for bytes, and not say where it is.
    try:
        decoded = content.decode("utf-8-sig" if text.encoding == "utf-8" else text.encoding)
    except LookupError:
        raise UserError(f"encoding = {text.encoding!r}: it takes an encoding, such as 'utf-8' or 'latin-1'") from None
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is 0x{content[error.start]:02x}"
        raise UserError(f"{path} is not in {text.encoding} ({byte}): name its encoding, such as 'latin-1'") from None
    separator = text.separator or max(SEPARATORS, key=decoded.partition("\n")[0].count)
    missing = {} if text.missing is None else {"null_values": ["", *text.missing]}
    convert = csv.ConvertOptions(strings_can_be_null=True, decimal_point=text.decimal_point, **missing)
    # As one block, since the first one says of what kind each column is.
    content = decoded.encode()
    try:
        return csv.read_csv(
            pa.BufferReader(content),
            csv.ReadOptions(block_size=len(content) + 1),
            csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert,
        )
    except pa.ArrowException as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read as a table separated by {separator!r} ({said})") from None


def _input_column(
    path: Path, name: str, column: Any, *, is_category: bool
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """The values of a column, and the names of its categories where it has such; missing numbers are nan."""
    if _holds_words(column):
        return _codes(_words(path, name, column))
    values = _number_column(path, name, column)
    if not is_category:
        return values.astype(np.float32), None
    require_present(path, name, int(np.isnan(values).sum()), len(values))
    return _codes(_whole(path, name, values))


def _target(path: Path, name: str, column: Any, kind: TargetKind) -> tuple[NDArray[Any], tuple[str, ...], str]:
    """The values, the names of the classes if they are such, and in words what they were taken for."""
    if _holds_words(column):
        values, why = _words(path, name, column), ""
        if kind == "numbers":
            raise UserError(f"{path}: column {name!r} holds {str(values[0])!r}: target_kind = 'numbers' takes numbers")
    elif _is_boolean(column) and kind != "numbers":
        require_present(path, name, column.null_count, len(column))
        values, why = np.asarray(column.to_numpy(zero_copy_only=False), bool), ""
    else:
        values = _number_column(path, name, column)
        require_present(path, name, int(np.isnan(values).sum()), len(values))
        whole = bool((values == np.round(values)).all())
        kinds = len(np.unique(values))
        asked = kind == "classes"
        if not asked and (kind == "numbers" or not whole or not are_classes(kinds, len(values))):
            other = "; target_kind = 'classes' takes them for classes" if whole and kind == "auto" else ""
            return values.astype(np.float32), (), f"is a quantity with {kinds:,} different values{other}"
        values = _whole(path, name, values)
        why = "; target_kind = 'numbers' takes them for a quantity" if not asked else ""
    codes, labels = _codes(values)
    if len(labels) == 1:
        raise UserError(f"{path}: column {name!r} is {labels[0]!r} in every row: it takes two classes or more")
    shown = ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")
    return codes, labels, f"has {len(labels)} classes ({shown}){why}"


def _holds_words(column: Any) -> bool:
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_boolean(column: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_boolean(column.type))


def _words(path: Path, name: str, column: Any) -> NDArray[Any]:
    import pyarrow as pa

    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    words = plain.to_pylist()
    require_present(path, name, sum(word is None or not word.strip() for word in words), len(words))
    with_comma = [word for word in words if re.fullmatch(r"\s*[-+]?\d*,\d+\s*", word)]
    if len(with_comma) == len(words):
        raise UserError(f"{path}: column {name!r} holds {words[0]!r}: decimal_point = ',' reads such as numbers")
    return np.asarray(words, dtype=str)


def _number_column(path: Path, name: str, column: Any) -> NDArray[np.float64]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_null(kind):
        raise UserError(f"{path}: column {name!r} is missing in every row: leave it out")
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or _is_boolean(column)):
        raise UserError(f"{path}: column {name!r} holds {kind}: it takes numbers or words")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)


def require_present(path: Path, name: str, missing: int, rows: int) -> None:
    """Raises UserError where a column lacks values."""
    if missing:
        raise UserError(f"{path}: column {name!r} is missing in {missing} rows of {rows}: it takes a value in each")


def _whole(path: Path, name: str, values: NDArray[np.float64]) -> NDArray[np.int64]:
    odd = values != np.round(values)
    if odd.any():
        raise UserError(f"{path}: column {name!r} holds {values[odd][0]:g}: classes take words or whole numbers")
    return values.astype(np.int64)


def _codes(values: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    names, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int64), tuple(map(str, names))


def _key_column(path: Path, name: str, column: Any) -> NDArray[np.int64]:
    """A group or a time as integers in its order."""
    require_present(path, name, column.null_count, len(column))
    return np.unique(np.asarray(column.to_numpy(zero_copy_only=False)), return_inverse=True)[1].astype(np.int64)
