"""What the copier reads of a run that is being written; the process itself is in `test_tracker.py`."""

from __future__ import annotations

from pathlib import Path

from training.run.copier import _Rows


def test_rows_are_read_once_they_are_whole_with_their_timing(tmp_path: Path) -> None:
    metrics, timing = tmp_path / "metrics.jsonl", tmp_path / "timing.jsonl"
    timing.write_text('{"updates": 1, "wall_time_s": 0.5}\n')
    metrics.write_text('{"updates": 1, "loss": "nan"}\n{"updates": 2, "lo')
    rows = _Rows(tmp_path)
    ((index, row),) = rows.new()
    assert (index, row["updates"], row["timing/wall_time_s"]) == (0, 1, 0.5)
    assert row["loss"] != row["loss"], "a number again"
    assert list(rows.new()) == []
    with metrics.open("a") as file:
        file.write('ss": 2.0}\n')
    assert list(rows.new()) == [(1, {"updates": 2, "loss": 2.0})]
