"""The ETA of several runs side by side."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from training.run import side_by_side
from training.run.progress import Progress, write_progress
from training.run.side_by_side import SideBySide


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [0.0]
    monkeypatch.setattr(side_by_side.time, "monotonic", lambda: at[0])
    return at


def tells(folder: Path, seconds_left: float) -> None:
    folder.mkdir(exist_ok=True)
    write_progress(folder, Progress(time.time(), 1, 2, "env_steps", 1.0, seconds_left, "", []))


def test_nothing_is_known_until_a_run_tells(tmp_path: Path, now: list[float]) -> None:
    with SideBySide("verify", 2, {"a": "ppo", "b": "ppo", "c": "ppo"}) as line:
        assert line.eta == "ETA –"
        line.begins("a", tmp_path / "a")
        line.begins("b", tmp_path / "b")
        assert line.eta == "ETA –"
        now[0] = 10.0
        tells(tmp_path / "a", 90.0)
        # Both run, each takes 100 s; the third comes after the first that is over.
        assert line.eta == "ETA 3:10"


def test_runs_that_are_over_tell_about_those_of_their_kind_and_what_comes_later_counts(
    tmp_path: Path, now: list[float]
) -> None:
    with SideBySide("verify", 1, {"a": "ppo", "b": "sac", "c": "ppo", "d": "sac"}, later=["ppo"]) as line:
        line.begins("a", tmp_path / "a")
        now[0] = 10.0
        line.ended("a")
        line.begins("b", tmp_path / "b")
        now[0] = 70.0
        line.ended("b")
        assert line.eta == "ETA 1:20"  # 10 + 60, and 10 later


def test_a_run_that_goes_on_tells_nothing_about_whole_ones(tmp_path: Path, now: list[float]) -> None:
    with SideBySide("verify", 1, {"a": "ppo", "b": "ppo", "c": "ppo"}) as line:
        line.begins("a", tmp_path / "a", anew=False)
        now[0] = 1.0
        line.ended("a")
        line.begins("b", tmp_path / "b")
        now[0] = 101.0
        line.ended("b")
        assert line.eta == "ETA 1:40"


def test_a_pipe_gets_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SideBySide("verify", 1, {"a": "ppo"}) as line:
        line.begins("a", tmp_path / "a")
        line.look()
        line.ended("a")
    assert capsys.readouterr() == ("", "")
