"""The times of a run over all its segments."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.runs import create, result, train
from training.run.clock import Clock
from training.run.logger import read_rows
from training.run.run import Run


def test_times_are_summed_over_the_segments(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        train(run, 1, update_s=0.2)  # and then it is gone without a word
    with Run.open(tmp_path) as run:
        now = train(run, 2, update_s=0.2)
        time.sleep(0.2)  # what comes after the last save is no training
        run.finish(now, metrics={})
    assert 0.4 <= result(tmp_path)["training_time_s"] <= result(tmp_path)["wall_time_s"] - 0.2
    first, second = (row["wall_time_s"] for row in read_rows(tmp_path / "timing.jsonl"))
    assert 0.2 <= first <= second - 0.2


def test_a_clock_goes_on_from_the_times_of_its_state() -> None:
    first = Clock()
    first.start_training()
    assert first.training_time_s == 0.0, "nothing is saved yet"
    state = first.state_dict()
    assert 0.0 <= state["training_time_s"] <= state["wall_time_s"]
    second = Clock(["resumed"])
    second.load_state_dict({"wall_time_s": 100.0, "training_time_s": 60.0})
    assert (second.training_time_s, second.inexact) == (60.0, ["resumed"])
    assert 100.0 <= second.wall_time_s < 101.0
    assert 60.0 <= second.trained_s < 61.0
