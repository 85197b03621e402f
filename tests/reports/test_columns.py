"""A table for a terminal: nothing wider than the window, and all of it in a pipe."""

from __future__ import annotations

import pytest

from reports.columns import print_columns

TITLES = ("run", "seed", "score", "empty")
ROWS = [["20260101T120000Z-seed1-ab12", "1", "475", ""], ["short", "12", "", ""]]


def test_a_pipe_gets_every_column_that_has_anything(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns(TITLES, ROWS, right=("score",), drop=("seed",))
    assert capsys.readouterr().out.splitlines() == [
        "run                          seed  score",
        "20260101T120000Z-seed1-ab12  1       475",
        "short                        12",
    ]


@pytest.mark.parametrize(("width", "first"), [(38, "run                          score"), (20, "run")])
def test_a_narrow_terminal_loses_what_may_be_dropped_and_then_the_ends(
    width: int, first: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    print_columns(TITLES, ROWS, right=("score",), drop=("seed",))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].rstrip() == first
    assert max(map(len, lines)) <= width
