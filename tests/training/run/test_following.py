"""Reading a log that another process writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.run import following
from training.run.following import Follower


def add(file: Path, text: str) -> None:
    with file.open("a") as log:
        log.write(text)


def test_every_row_is_read_once_and_half_a_row_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    log = Follower(file)
    assert list(log.read()) == []  # there is no file yet
    add(file, '{"updates": 1, "loss": 2}\n{"updates": 2, "lo')
    assert list(log.read()) == [{"updates": 1, "loss": 2.0}]
    assert list(log.read()) == []
    add(file, 'ss": "nan"}\n')
    (row,) = log.read()
    assert row["updates"] == 2
    assert row["loss"] != row["loss"]
    file.unlink()
    assert list(log.read()) == []


def test_a_log_that_was_cut_is_read_from_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    log = Follower(file)
    add(file, '{"updates": 1}\n{"updates": 2}\n')
    assert len(list(log.read())) == 2
    assert not log.begun_anew
    file.write_text('{"updates": 1}\n')
    assert list(log.read()) == [{"updates": 1}]
    assert log.begun_anew
    add(file, '{"updates": 3}\n')
    assert list(log.read()) == [{"updates": 3}]
    assert not log.begun_anew


def test_another_file_of_that_name_is_read_from_its_beginning(tmp_path: Path) -> None:
    file, other = tmp_path / "metrics.jsonl", tmp_path / "other.jsonl"
    file.write_text('{"updates": 1}\n')
    log = Follower(file)
    list(log.read())
    other.write_text('{"updates": 7}\n{"updates": 8}\n')
    other.rename(file)
    assert [row["updates"] for row in log.read()] == [7, 8]
    assert log.begun_anew


def test_what_is_no_row_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text('es": 3}\n[1]\n{"loss": null}\n\xff\n{"updates": 4}\n', encoding="latin-1")
    assert list(Follower(file).read()) == [{"updates": 4}]


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_rows_are_whole_however_the_file_is_cut_into_chunks(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "CHUNK_BYTES", chunk)
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(f'{{"updates": {number}, "loss": 0.5}}\n' for number in range(30)))
    assert [row["updates"] for row in Follower(file).read()] == list(range(30))


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"updates": 1, "loss": 0.5}\n' * 10_000)
    log, parsed = Follower(file), []
    monkeypatch.setattr(following, "_row", lambda line: parsed.append(line) or {})
    assert len(list(log.read())) == 10_000
    parsed.clear()
    add(file, '{"updates": 2}\n')
    assert len(list(log.read())) == 1
    assert parsed == [b'{"updates": 2}']
