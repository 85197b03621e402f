"""CSV and Parquet files as people have them, and what is told of those that are no good."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from training.data.dataset import Dataset
from training.data.tables import TextFormat, table
from training.errors import UserError

PEOPLE = {"age": [30, 41, 52], "income": [1.5, None, 2.5], "town": ["b", "a", "b"], "ill": ["no", "yes", "no"]}


def write(path: Path, columns: Mapping[str, list[Any]]) -> Path:
    import pyarrow as pa
    from pyarrow import csv, parquet

    (csv.write_csv if path.suffix == ".csv" else parquet.write_table)(pa.table(dict(columns)), path)
    return path


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_has_numbers_categories_and_groups(suffix: str, tmp_path: Path) -> None:
    file = write(tmp_path / f"people.{suffix}", {**PEOPLE, "person": [7, 7, 9]})
    data = table(file, target="ill", group="person")
    assert data.columns == ("age", "income")
    assert data.labels == ("no", "yes")
    assert np.array_equal(data.array("input/numbers"), [[30, 1.5], [41, np.nan], [52, 2.5]], equal_nan=True)
    assert data.array("input/town").tolist() == [1, 0, 1]
    assert data.spaces["input/town"] == spaces.Discrete(2)
    assert data.array("target").tolist() == [0, 1, 0]
    assert data.array("group").tolist() == [0, 0, 1]


ROWS = [("1.5", "no"), ("2.5", "yes"), ("3.5", "no"), ("4.5", "yes")]


def is_those_rows(data: Dataset) -> bool:
    same = np.array_equal(data.array("input"), [[float(x)] for x, _ in ROWS])
    return (
        same and data.columns == ("größe",) and [data.labels[i] for i in data.array("target")] == [y for _, y in ROWS]
    )


def test_a_csv_file_may_be_written_in_many_ways(tmp_path: Path) -> None:
    def text(separator: str = ",", end: str = "\n", point: str = ".") -> str:
        return end.join(
            f"{x}{separator}{y}" for x, y in [("größe", "y"), *((x.replace(".", point), y) for x, y in ROWS)]
        )

    ways = {
        "plain.csv": (text(), "utf-8", TextFormat()),
        "CAPITALS.CSV": (text(), "utf-8", TextFormat()),
        "mark.csv": (text(), "utf-8-sig", TextFormat()),
        "windows.csv": (text(end="\r\n"), "utf-8", TextFormat()),
        "semicolon.csv": (text(";"), "utf-8", TextFormat()),
        "tab.tsv": (text("\t"), "utf-8", TextFormat()),
        "comma.csv": (text(";", point=","), "utf-8", TextFormat(decimal_point=",")),
        "latin.csv": (text(), "latin-1", TextFormat(encoding="latin-1")),
        "excel.txt": (text("\t"), "utf-16", TextFormat(encoding="utf-16")),
    }
    for name, (content, encoding, how) in ways.items():
        assert is_those_rows(table(written(tmp_path / name, content, encoding), target="y", text=how)), name


def test_a_quoted_word_may_hold_a_new_line_and_a_separator(tmp_path: Path) -> None:
    file = written(tmp_path / "q.csv", 'x,"a, word",y\n1,"two\nlines",no\n2,"a, b",yes\n3,"a, b",no\n')
    data = table(file, target="y")
    assert data.array("input/a, word").tolist() == [1, 0, 0]
    assert len(data) == 3


def test_a_column_of_whole_numbers_may_go_on_with_others(tmp_path: Path) -> None:
    rows = "1,no\n" * 300_000 + "1.5,yes\n"  # more than what pyarrow looks at to say of what kind a column is
    assert table(written(tmp_path / "long.csv", f"x,y\n{rows}"), target="y").array("input")[-1] == 1.5


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("values", "kind", "labels"),
    [
        ([3, 1, 3, 1] * 10, "auto", ("1", "3")),
        ([3, 1, 3, 1] * 10, "numbers", ()),
        ([3.0, 1.0] * 20, "auto", ("1", "3")),  # as pandas writes what once had a missing value
        ([0.5, 1.5] * 20, "auto", ()),
        (list(range(18, 58)), "auto", ()),  # such as an age
        (list(range(25)) * 2, "auto", ()),
        (list(range(25)) * 2, "classes", tuple(map(str, range(25)))),
        ([True, False] * 20, "auto", ("False", "True")),
        ([True, False] * 20, "numbers", ()),
    ],
)
def test_whole_numbers_are_classes_where_they_are_few(
    values: list[Any],
    kind: Any,
    labels: tuple[str, ...],
    suffix: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write(tmp_path / f"t.{suffix}", {"x": [float(i) for i in range(len(values))], "y": values})
    data = table(file, target="y", target_kind=kind)
    assert set(data.labels) == set(labels)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert ("classes (" in told) == bool(labels)
    if labels:
        assert [data.labels[i] for i in data.array("target")] == [str(value).removesuffix(".0") for value in values]
    else:
        assert data.array("target").tolist() == values
        assert data.target.dtype == np.float32


def test_codes_can_be_categories(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", {"postcode": [8001, 3000, 8001], "y": ["a", "b", "a"]})
    data = table(file, target="y", categories=["postcode"])
    assert data.array("input/postcode").tolist() == [1, 0, 1]


def test_what_stands_for_a_missing_value_can_be_said(tmp_path: Path) -> None:
    file = written(tmp_path / "t.csv", "country,x,y\nNA,?,a\nCH,2,b\nNA,3,a\n")
    with pytest.raises(UserError, match="column 'country' is missing in 2 rows of 3"):
        table(file, target="y")
    data = table(file, target="y", text=TextFormat(missing=("?",)))
    assert data.array("input/country").tolist() == [1, 0, 1]
    assert np.isnan(data.array("input/numbers")[0, 0])


ABSENT = [None if i % 20 == 0 else i for i in range(300)]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("value", [lambda i: "yes" if i % 2 else "no", lambda i: i % 3, lambda i: i + 0.5])
def test_missing_targets_are_counted(value: Any, suffix: str, tmp_path: Path) -> None:
    target = [None if i is None else value(i) for i in ABSENT]
    file = write(tmp_path / f"t.{suffix}", {"x": list(range(300)), "y": target})
    with pytest.raises(UserError, match="column 'y' is missing in 15 rows of 300"):
        table(file, target="y")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_missing_words_of_inputs_groups_and_times_are_counted(suffix: str, tmp_path: Path) -> None:
    words = [None if i is None else str(i % 7) + "a" for i in ABSENT]
    file = write(tmp_path / f"t.{suffix}", {"x": list(range(300)), "w": words, "n": ABSENT, "y": ["a", "b"] * 150})
    for how in (
        {},
        {"group": "w", "inputs": ["x"]},
        {"time": "n", "inputs": ["x"]},
        {"inputs": ["n"], "categories": ["n"]},
    ):
        with pytest.raises(UserError, match=r"column '[wn]' is missing in 15 rows of 300"):
            table(file, target="y", **how)


def test_spaces_are_no_word(tmp_path: Path) -> None:
    file = write(tmp_path / "t.parquet", {"x": [1, 2, 3], "y": ["a", " ", ""]})
    with pytest.raises(UserError, match="column 'y' is missing in 2 rows of 3"):
        table(file, target="y")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "t.csv is empty"),
        (" \n\n", "t.csv is empty"),
        ("x,y\n", "t.csv has no rows, only the names of columns"),
        ("x,x,y\n1,2,a\n3,4,b\n", "has 2 columns with the name 'x': it takes one"),
        ("x,y\n1,yes\n2,yes\n", "column 'y' is 'yes' in every row: it takes two classes or more"),
        ("x,y\n1,1\n2,1\n", "column 'y' is '1' in every row"),
        ("x,z\n1,yes\n", "has no column 'y': it has x, z"),
        ("x,y\n1,2\n3\n", "cannot be read as a table separated by ','"),
        ("y\na\nb\n", "has no column beside 'y' to learn from"),
        ("x,y\n,a\n,b\n", "column 'x' is missing in every row"),
        ("x;y\n1,5;a\n2,5;b\n", "column 'x' holds '1,5': decimal_point = ','"),
        ("x,y\n2020-01-01,a\n2020-01-02,b\n", "column 'x' holds date32.*: it takes numbers or words"),
    ],
)
def test_bad_files_are_told_in_one_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told) as raised:
        table(written(tmp_path / "t.csv", text), target="y")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"inputs": ["x", "y"]}, "column 'y' is an input and the target, group or time too"),
        ({"categories": ["nothing"]}, "has no column 'nothing'"),
        ({"categories": ["x"]}, "column 'x' holds 0.5: classes take words or whole numbers"),
        ({"target_kind": "numbers"}, "column 'y' holds 'a': target_kind = 'numbers' takes numbers"),
        ({"text": TextFormat(encoding="klingon")}, "encoding = 'klingon': it takes an encoding"),
        ({"text": TextFormat(encoding="ascii")}, "is not in ascii .byte 0 is 0xc3.: name its encoding"),
    ],
)
def test_what_was_asked_for_and_cannot_be_is_told(how: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        table(written(tmp_path / "t.csv", "ä,x,y\n1,0.5,a\n2,1.5,b\n"), target="y", **how)


def test_letters_that_are_not_utf_8_are_told_with_their_place(tmp_path: Path) -> None:
    for name, text in {"header": "größe,y\n1,a\n", "value": "x,y\n1,grün\n"}.items():
        with pytest.raises(UserError, match=r"is not in utf-8 \(byte \d+ is 0xf[6c]\): name its encoding"):
            table(written(tmp_path / f"{name}.csv", text, "latin-1"), target="y")
    with pytest.raises(UserError, match="separator = ';;': it takes one character"):
        TextFormat(separator=";;")


def test_a_folder_that_is_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.parquet cannot be read as a table"):
        table(tmp_path / "nowhere.parquet", target="y")
    with pytest.raises(UserError, match=r"nowhere\.csv cannot be read"):
        table(tmp_path / "nowhere.csv", target="y")
