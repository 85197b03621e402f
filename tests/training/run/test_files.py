"""Files that a crash cannot leave half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from training.run.files import append_json_line, read_json, sha256, write_json


def test_what_is_written_is_read_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    assert read_json(tmp_path / "a.json") == {}
    write_json(tmp_path / "a.json", {"one": [1, None, "two"]})
    assert read_json(tmp_path / "a.json") == {"one": [1, None, "two"]}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_crash_before_the_end_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "a.json", {"old": 1})

    def crash(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="no space left"):
        write_json(tmp_path / "a.json", {"new": 2})
    assert read_json(tmp_path / "a.json") == {"old": 1}


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_line_is_added_after_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    append_json_line(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"a": 2')  # a crash left half of it
    append_json_line(path, {"a": 3})
    assert path.read_text() == '{"a": 1}\n{"a": 3}\n'
