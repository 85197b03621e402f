"""Learners as processes of Ray: what reaches them, and (full) runs that go on after a kill and end with a signal."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support import ROOT, wait_for
from training import interruption
from training.cluster.ray_learners import _may_be_a_loss, _shown, _told
from training.errors import UserError
from training.run.files import write_json

pytestmark = pytest.mark.xdist_group("ray")


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "experiments", *words]


TWO = ["--learners", "2", "--threads", "1", "--tracker", "none", "--checkpoint.every.count", "1024"]


SHORT = [*TWO, "--env-steps", "8192"]


LONG = "--learners 2 --env-steps 200000 --threads 1 --tracker none --checkpoint.every.count 1000000"


@pytest.mark.full
def test_a_run_of_two_learners_on_ray_is_one_run_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(_command("train", "ppo_cartpole", *SHORT, "--run-dir", str(whole)), cwd=ROOT, check=True)
    result = json.loads((whole / "result.json").read_text())
    assert (result["status"], result["exact"], result["counters"]["env_steps"]) == ("completed", True, 8192)

    train = _command("train", "ppo_cartpole", *SHORT, "--run-dir", str(killed))
    process = subprocess.Popen(train, cwd=ROOT, start_new_session=True)
    until = time.monotonic() + 300
    while not list(killed.glob("checkpoints/*/manifest.json")):
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(_command("resume", str(killed)), cwd=ROOT, check=True)
    assert (killed / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


@pytest.mark.full
def test_a_run_goes_on_by_itself_when_a_learner_is_killed(tmp_path: Path) -> None:
    whole, hurt = tmp_path / "whole", tmp_path / "hurt"
    longer = [*TWO, "--env-steps", "30720"]
    subprocess.run(_command("train", "ppo_cartpole", *longer, "--run-dir", str(whole)), cwd=ROOT, check=True)
    process = subprocess.Popen(
        _command("train", "ppo_cartpole", *longer, "--run-dir", str(hurt)), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 300
    while not list(hurt.glob("checkpoints/*/manifest.json")):
        assert time.monotonic() < until
        time.sleep(0.05)
    _learners_of(process)[-1].kill()
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "a learner was lost; going on with 2 of 2 learners" in told
    assert (hurt / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert json.loads((hurt / "result.json").read_text())["exact"]


@pytest.mark.full
def test_what_only_the_first_of_two_learners_runs_into_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    words = _command("train", "ppo_cartpole", *SHORT, "--run-dir", str(tmp_path / "taken"))
    done = subprocess.run(words, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: run folder")


def _learners_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Those that the process started, and not what else is on this machine."""
    found = []
    for started in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            if "RayTrainWorker" in " ".join(started.cmdline()):
                found.append(started)
    return found


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_two_learners_with_a_checkpoint(number: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = _command("train", "ppo_cartpole", *LONG.split(), "--run-dir", str(folder))
    with (tmp_path / "told").open("w") as told:
        process = subprocess.Popen(words, cwd=ROOT, start_new_session=True, stderr=told)
    until = time.monotonic() + 300
    while not (folder / "metrics.jsonl").exists() or not (folder / "metrics.jsonl").read_text():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    if number == signal.SIGINT:  # as a terminal does: every process gets it
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    assert process.wait(120) == 128 + number
    assert f"interrupted; continue with: python -m experiments resume {folder}" in (tmp_path / "told").read_text()
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "interrupted"
    assert 0 < result["counters"]["env_steps"] < 200_000
    assert (folder / result["checkpoint"] / "manifest.json").exists(), "the only one, as they are seldom"


def test_a_signal_that_is_written_down_reaches_a_learner(tmp_path: Path) -> None:
    with _told(tmp_path / "signal.json"):
        assert interruption.requested() is None
        write_json(tmp_path / "signal.json", {"signal": int(signal.SIGTERM)})
        wait_for(lambda: interruption.requested() == signal.SIGTERM)
    assert interruption.requested() is None, "it is over with the work"


def test_what_a_learner_prints_is_shown_as_it_comes_and_to_the_end(tmp_path: Path) -> None:
    stream = io.StringIO()
    with _shown(tmp_path / "out", stream), (tmp_path / "out").open("a", buffering=1) as out:
        print("one", file=out)
        wait_for(lambda: stream.getvalue() == "one\n")
        print("two", file=out)
    assert stream.getvalue() == "one\ntwo\n"


def test_what_gloo_raises_may_be_the_loss_of_a_learner_and_a_mistake_is_none() -> None:
    assert _may_be_a_loss(RuntimeError("connection closed by peer"), 1)
    assert _may_be_a_loss(ValueError("anything, once the group is gone"), 2)
    assert not _may_be_a_loss(UserError("no such device"), 1)
    assert not _may_be_a_loss(NotImplementedError("a RuntimeError of another kind"), 1)
