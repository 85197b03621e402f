"""The runs in runs/: which one a word means, and how each stands while it is made, killed and finished."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.runs import create, train
from training.core import Counters
from training.errors import UserError
from training.run.folder import Lock, is_held
from training.run.runs import TAIL_BYTES, all_runs, find_run, read_rows_at_end


def made(runs: Path, path: str, identity: str, experiment: str, **more: object) -> Path:
    """The files of a run that began when its identity says."""
    folder = runs / path
    folder.mkdir(parents=True)
    settings = {"experiment": experiment, "id": identity, "seed": 1, "config": {"env_steps": 100}, **more}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "environment.json").write_text("{}")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    made(runs, "pole/20260101T120000Z-seed1-aaaa", "20260101T120000Z-seed1-aaaa", "pole")
    made(runs, "pole/20260102T120000Z-seed1-bbbb", "20260102T120000Z-seed1-bbbb", "pole")
    made(runs, "mine", "20260103T120000Z-seed1-cccc", "cart")
    made(runs, "mine/01-first", "20260103T120000Z-seed1-cccc", "cart", stage="01-first")
    made(runs, "pole/verify/seed-101", "20260104T120000Z-seed101-dddd", "pole")
    (runs / "pole" / "notes").mkdir()
    (runs / "pole" / "notes" / "config.json").write_text("{")
    return runs


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("latest", "mine"),
        ("cart", "mine"),
        ("mine", "mine"),
        ("pole", "pole/20260102T120000Z-seed1-bbbb"),
        ("20260101", "pole/20260101T120000Z-seed1-aaaa"),
        ("20260101T120000Z-seed1-aaaa", "pole/20260101T120000Z-seed1-aaaa"),
    ],
)
def test_a_word_means_the_newest_run_that_of_an_experiment_or_the_only_one_that_begins_so(
    word: str, found: str, runs: Path
) -> None:
    assert find_run(word, runs) == runs / found


def test_a_path_means_itself_whatever_it_is(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path, "pole", "20250101T120000Z-seed1-eeee", "other")  # a run of the name of an experiment
    (tmp_path / "thesis").mkdir()
    for word in ("pole", "thesis", "runs/mine/01-first", "runs/pole/verify/seed-101", "not/there"):
        assert find_run(word) == Path(word)


def test_a_word_that_means_none_or_several_is_told_what_there_is(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^2026 may be 2 runs: .*-bbbb, .*-aaaa$"):
        find_run("2026", runs)
    with pytest.raises(
        UserError, match=r"^nowhere is not a run: .* has runs of cart \(1\), pole \(2\); the newest is .*/mine$"
    ):
        find_run("nowhere", runs)
    with pytest.raises(UserError, match=r"^latest is not a run: there is none in .*none/ yet$"):
        find_run("latest", tmp_path / "none")


def test_the_states_of_a_run_that_is_made_stopped_and_finished(tmp_path: Path) -> None:
    def state() -> tuple[str, int, float | None]:
        (run,) = all_runs(tmp_path)
        return run.status, run.done, run.score

    with suppress(RuntimeError), create(tmp_path / "run") as run:
        assert state() == ("running", 0, None)
        train(run, 3)
        assert state() == ("running", 3, None)
        (seen,) = all_runs(tmp_path)
        assert (seen.experiment, seen.seed, seen.unit, seen.budget) == ("example", 3, "updates", None)
        assert seen.wall_time_s is not None
        raise RuntimeError("the bridge fell")
    assert state() == ("failed", 3, None)
    (tmp_path / "run/result.json").unlink()  # as kill -9 leaves it
    assert state() == ("interrupted", 3, None)
    with create(tmp_path / "whole") as run:
        run.finish(Counters(updates=5), metrics={"evaluation/return_mean": 475.0})
    newest = all_runs(tmp_path)[0]
    assert (newest.folder.name, newest.status, newest.score_name, newest.score) == (
        "whole",
        "completed",
        "evaluation/return_mean",
        475.0,
    )


def test_who_only_looks_keeps_nobody_from_the_folder(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    lock = Lock(tmp_path)
    assert is_held(tmp_path)
    lock.release()
    assert not is_held(tmp_path)
    looks = (
        "import sys, pathlib; from training.run.folder import is_held\nwhile True: is_held(pathlib.Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", looks, tmp_path], cwd=ROOT, env={**os.environ})
    try:
        for _ in range(200):
            Lock(tmp_path).release()
    finally:
        process.kill()
        process.wait()


def test_of_a_long_log_only_whole_rows_of_its_end_are_read(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    rows = [{"updates": number, "text": "x" * 100} for number in range(5_000)]
    file.write_text("\n".join(map(json.dumps, rows)) + '\n{"updates": 5000, "te')
    assert file.stat().st_size > TAIL_BYTES
    read = read_rows_at_end(file)
    assert read == rows[-len(read) :]
    assert 1_000 < len(read) < 5_000
    assert read_rows_at_end(tmp_path / "none") == []
