"""A run seen from outside while it goes on."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from reports import watched
from reports.watched import MOST_POINTS, Series, Watched
from tests.support import diagnosed_runs, runs
from training.core import Budget, Counters, Every
from training.errors import UserError
from training.metrics import Last
from training.run.checkpoint import CheckpointConfig
from training.run.progress import Progress, write_progress


def test_a_run_is_seen_while_it_goes_on_and_after_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with runs.create(folder) as run:
        seen = Watched(folder)
        first = seen.look()
        assert (first.status, first.done, dict(first.series)) == ("running", 0, {})
        log = run.open_log(Every(1), Budget(40))
        run.checkpoint({"agent": runs.Part()}, CheckpointConfig())
        for number in (1, 2, 3):
            log.add({"loss": Last(1.0 / number), "rollout/return_mean": Last(float(number))})
            log.write(Counters(env_steps=10 * number, updates=number))
        then = seen.look()
        assert then.status == "running"
        assert then.series["rollout/return_mean"].points == [(10, 1.0), (20, 2.0), (30, 3.0)]
        assert then.latest["loss"] == pytest.approx(1 / 3)
        assert then.timing["wall_time_s"] > 0
        write_progress(folder, Progress(time.time(), 36, 40, "env_steps", 5.0, 9.0, "evaluating", ["drawn elsewhere"]))
        told = seen.look()
        assert (told.done, told.total, told.fraction) == (36, 40, 0.9)
        assert told.inexact == ["drawn elsewhere"]
        run.finish(Counters(env_steps=40), metrics={"evaluation/return_mean": 7.0})
    ended = seen.look()
    assert (ended.status, ended.progress, ended.inexact) == ("completed", None, [])
    assert ended.latest["evaluation/return_mean"] == 7.0
    shutil.rmtree(folder)
    gone = seen.look()
    assert not gone.there
    assert gone.series["rollout/return_mean"].points


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run"):
        Watched(tmp_path)


def test_a_progress_that_a_kill_left_does_not_count(tmp_path: Path) -> None:
    with runs.create(tmp_path / "run") as run:
        runs.train(run, 2)
    write_progress(tmp_path / "run", Progress(time.time(), 1, 2, "updates", 1.0, 1.0, "", []))
    seen = Watched(tmp_path / "run").look()
    assert seen.status == "interrupted"
    assert seen.progress is None


def test_a_run_that_resumes_is_drawn_from_what_its_log_was_cut_to(tmp_path: Path) -> None:
    with runs.create(tmp_path / "run") as run:
        runs.train(run, 3)
    seen = Watched(tmp_path / "run")
    assert len(seen.look().series["loss"].points) == 3
    log = tmp_path / "run/metrics.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))
    assert [x for x, _ in seen.look().series["loss"].points] == [10, 20]


def test_the_newest_stage_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with runs.create(folder) as run:
        seen = Watched(folder)
        for name in ("first", "second"):
            stage = run.stage(name)
            log = stage.open_log(Every(1), Budget(10))
            log.add({f"{name}/loss": Last(1.0)})
            log.write(Counters(updates=1))
            now = seen.look()
            assert now.stage.endswith(name)
            assert list(now.series) == [f"{name}/loss"]


def test_a_faulty_run_is_diagnosed_on_the_way(tmp_path: Path) -> None:
    rows = diagnosed_runs.read("tiny_learning_rate").rows
    with runs.create(tmp_path / "run"):
        (tmp_path / "run/metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        findings = Watched(tmp_path / "run").look().findings
    assert findings
    assert "policy stays random" in [finding.name for finding in findings]


def test_a_long_log_is_not_diagnosed_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "MOST_DIAGNOSED_BYTES", 10)
    with runs.create(tmp_path / "run") as run:
        runs.train(run, 3)
        assert Watched(tmp_path / "run").look().findings is None


def test_a_series_keeps_its_course_in_few_points() -> None:
    series = Series()
    for number in range(20 * MOST_POINTS):
        series.add(number, float(number))
    places = [x for x, _ in series.points]
    assert MOST_POINTS // 2 <= len(places) <= MOST_POINTS
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] > 19.9 * MOST_POINTS
