"""How far a run is, told in its folder."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import runs
from training.core import Budget, Counters, Every
from training.errors import UserError
from training.run import logger
from training.run.clock import Clock
from training.run.logger import Logger
from training.run.progress import FILE, Progress, read_progress, write_progress

TOLD = Progress(time.time(), 30, 100, "env_steps", 2.0, 35.0, "evaluating", [])


def test_what_is_written_is_read_and_time_goes_on_since(tmp_path: Path) -> None:
    told = replace(TOLD, at=time.time())
    write_progress(tmp_path, told)
    read = read_progress(tmp_path)
    assert read == told
    assert read.left_s is not None
    assert 0.0 < read.left_s <= 35.0
    assert replace(TOLD, at=time.time() - 60.0).left_s == 0.0
    assert replace(TOLD, seconds_left=None).left_s is None


def test_what_cannot_be_read_or_written_is_no_error(tmp_path: Path) -> None:
    assert read_progress(tmp_path) is None
    (tmp_path / FILE).write_text('{"done": 1')
    assert read_progress(tmp_path) is None
    write_progress(tmp_path / "gone", TOLD)


def test_a_run_tells_it_between_rows_and_in_measurements_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger, "INTERVAL_S", 0.0)
    clock = Clock(["it draws from elsewhere"])
    log = Logger(tmp_path, every=Every(50), until=Budget(100), tracker=None, console=None, clock=clock)
    for env_steps in (10, 20, 30):
        log.progress(Counters(env_steps=env_steps))
    told = read_progress(tmp_path)
    assert told is not None
    assert (told.done, told.total, told.unit, told.doing) == (30, 100, "env_steps", "")
    assert told.inexact == ["it draws from elsewhere"]
    assert told.per_second is not None
    assert told.seconds_left == pytest.approx(70 / told.per_second, rel=0.5)  # some time went by since
    with log.measuring():
        log.show("evaluating: 3/20 episodes", 0.15)
        during = read_progress(tmp_path)
    assert during is not None
    assert during.doing == "evaluating: 3/20 episodes"
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_it_is_no_reason_to_keep_a_run_that_trained_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = runs.create(folder)
    write_progress(folder, TOLD)
    run.__exit__(UserError, UserError("a mistake that is noticed late"), None)
    assert not folder.exists()
