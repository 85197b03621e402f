"""A run that is killed with SIGKILL and resumed is the same run: same bytes in the log, same weights, same streams."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agents.acting.recording import save
from agents.recipes.offline import OfflineConfig
from envs.config import EnvConfig
from experiments.__main__ import main
from tests.support.cases import resumed
from tests.support.recorded import record_random
from training.experiments import load_experiment

# Runs are forked children here, and OpenMP's threads do not survive a fork.
ONE_THREAD = ["--threads", "1"]
SHORT = ["--env-steps", "2560", "--log-every.count", "256", "--checkpoint.every.count", "700", "--tracker", "none"]
SHORT += ["--evaluation.every.count", "1500", "--evaluation.episodes", "2", "--evaluation.num-envs", "2"]
SHORT += ["--evaluation.final-episodes", "2", *ONE_THREAD]
OFFLINE = ["--log-every.count", "10", "--checkpoint.every.count", "35", "--tracker", "none"]
OFFLINE += ["--evaluation.every.unit", "updates", "--evaluation.every.count", "50"]
OFFLINE += ["--evaluation.episodes", "2", "--evaluation.num-envs", "2"]
OFFLINE += ["--evaluation.final-episodes", "2", "--dataset", "tiny/pendulum-v0", *ONE_THREAD]
LEARNING_FROM_DATA = ["--log-every.count", "10", "--checkpoint.every.count", "35", "--tracker", "none"]
LEARNING_FROM_DATA += ["--evaluation.every.unit", "updates", "--evaluation.every.count", "50", *ONE_THREAD]
RUNS = resumed()
TOLD = tempfile.TemporaryFile()  # noqa: SIM115 - it is there until the tests end


def _has_workers(name: str) -> bool:
    return name.endswith("-workers")


@pytest.fixture(scope="module", autouse=True)
def _datasets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A small dataset for those that learn from one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("datasets")))
        env = EnvConfig("Pendulum-v1")
        save("tiny/pendulum-v0", *record_random(env, 10), env, algorithm="none", told={})
        yield


@pytest.fixture(scope="module")
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, float]:
    """An uninterrupted run: its experiment, its folder and how long it took."""
    name: str = request.param
    folder = tmp_path_factory.mktemp(name) / "whole"
    started = time.monotonic()
    assert _wait(_start(_train(name, folder), forked=_can_fork(name))) == 0
    return name, folder, time.monotonic() - started


def _train(name: str, folder: Path) -> list[str]:
    return ["train", name.partition("-")[0], *_common(name), *RUNS[name], "--run-dir", str(folder)]


def _common(name: str) -> list[str]:
    """The options that all runs of its kind have: it acts, learns to act from a dataset, or learns from data."""
    config = load_experiment(name.partition("-")[0], "experiments").Config()
    if config.algorithm_field != "agent":
        return LEARNING_FROM_DATA
    return OFFLINE if isinstance(config, OfflineConfig) else SHORT


def _can_fork(name: str) -> bool:
    return "--compile" not in RUNS[name] and not _has_workers(name)


def _start(argv: Sequence[str], *, forked: bool = True) -> int:
    """Runs a command in a process of its own: a forked child, which need not import everything again.

    What compiles takes a new process, and so does Ray: their threads do not survive a fork.
    """
    if not forked:
        told = [(os.POSIX_SPAWN_DUP2, TOLD.fileno(), stream) for stream in (1, 2)]
        command = [sys.executable, "-m", "experiments", *argv]
        return os.posix_spawn(sys.executable, command, os.environ, file_actions=told)
    child = os.fork()
    if child == 0:
        os.dup2(TOLD.fileno(), 1)
        os.dup2(TOLD.fileno(), 2)
        os._exit(main(argv))
    return child


def _told() -> str:
    """The last that the processes of this test said."""
    TOLD.seek(0)
    return TOLD.read()[-5_000:].decode(errors="replace")


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _fingerprint(folder: Path) -> dict[str, str]:
    """The log, the last state of every part but the times, and the result."""
    result = json.loads((folder / "result.json").read_text())
    files = sorted(folder.rglob("metrics.jsonl"))
    last = folder / result["checkpoint"]
    own = ("manifest", "log", "progress")  # of the run itself; the other files are its parts
    files += [file for file in sorted(last.iterdir()) if file.name.partition(".")[0] not in own]
    prints = {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    same = ("status", "exact", "inexact", "counters", "metrics", "best", "claims")
    return prints | {"result": json.dumps({key: result[key] for key in same})}


def _kill_and_resume(whole: tuple[str, Path, float], folder: Path, rng: random.Random, *, times: int = 2) -> None:
    """Kills the run, and as often as is asked for what resumes it, at random moments; then lets it end."""
    name, _, duration = whole
    train = _train(name, folder)
    argv, kills = train, 0
    while True:
        child = _start(argv, forked=_can_fork(name))
        if kills < times:
            time.sleep(rng.uniform(0.02, 0.9) * duration)
            os.kill(child, signal.SIGKILL)
        code = _wait(child)
        if code == 0 and kills == 0:  # it was faster than the moment
            shutil.rmtree(folder)
            duration *= 0.7
            continue
        if code == 0:
            return
        assert code == -signal.SIGKILL, _told()
        kills += 1
        argv = ["resume", str(folder)] if (folder / "config.json").exists() else train


@pytest.mark.parametrize("whole", ["ppo_cartpole"], indirect=True)
@pytest.mark.parametrize("moment", range(5))
def test_a_killed_run_continues_as_if_nothing_had_happened(
    whole: tuple[str, Path, float], moment: int, tmp_path: Path
) -> None:
    _kill_and_resume(whole, tmp_path / "run", random.Random(moment))
    assert _fingerprint(tmp_path / "run") == _fingerprint(whole[1])


QUICK = ("dqn_cartpole", "gpt_stdlib", "recurrent_ppo_cartpole", "sac_pendulum-data", "td3_bc_pendulum")
"""One of each kind is killed in the fast tests, all are in the long ones."""


@pytest.mark.parametrize(
    "whole",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.full) for name in RUNS if name != "ppo_cartpole"],
    indirect=True,
)
def test_so_does_every_algorithm_and_kind_of_environment(whole: tuple[str, Path, float], tmp_path: Path) -> None:
    _kill_and_resume(whole, tmp_path / "run", random.Random(0), times=1)
    assert _fingerprint(tmp_path / "run") == _fingerprint(whole[1])


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("whole", RUNS, indirect=True)
def test_fifty_random_kill_points_give_fifty_identical_runs(whole: tuple[str, Path, float], tmp_path: Path) -> None:
    """Fifty for the first experiment, ten for each of the others."""
    for moment in range(50 if whole[0] == "ppo_cartpole" else 10):
        folder = tmp_path / str(moment)
        _kill_and_resume(whole, folder, random.Random(1000 + moment))
        assert _fingerprint(folder) == _fingerprint(whole[1]), f"kill point {moment}"
        shutil.rmtree(folder)


@pytest.mark.parametrize("whole", ["ppo_cartpole"], indirect=True)
def test_a_kill_inside_a_checkpoint_write_costs_nothing(whole: tuple[str, Path, float], tmp_path: Path) -> None:
    """The process dies just before a checkpoint gets its name, and in the middle of its files."""
    name, _, _ = whole
    for call, which in (("os.rename", 3), ("training.run.checkpoint.write_state", 9)):
        folder = tmp_path / call
        script = f"""
import os, signal, training.run.checkpoint
from experiments.__main__ import main
real, calls = {call}, []
def dies(*args, **kwargs):
    calls.append(args)
    if len(calls) == {which}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
{call} = dies
main({_train(name, folder)!r})
"""
        died = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
        assert died.returncode == -signal.SIGKILL, died.stderr.decode()
        assert _wait(_start(["resume", str(folder)])) == 0
        assert _fingerprint(folder) == _fingerprint(whole[1])


@pytest.mark.parametrize("whole", ["ppo_cartpole"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_run_can_go_on(
    whole: tuple[str, Path, float], number: signal.Signals, tmp_path: Path
) -> None:
    name, _, duration = whole
    folder = tmp_path / "run"
    child = _start(["train", name, *SHORT, *RUNS[name], "--run-dir", str(folder)])
    while not (folder / "metrics.jsonl").exists():
        time.sleep(duration / 100)
    os.kill(child, number)
    assert _wait(child) == 128 + number
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "interrupted"
    assert result["counters"]["env_steps"] > 0
    assert _wait(_start(["resume", str(folder)])) == 0
    assert _fingerprint(folder) == _fingerprint(whole[1])


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path: Path) -> None:
    for run, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert _wait(_start([*_train("ppo_cartpole", tmp_path / run), "--seed", str(seed)])) == 0
    assert _fingerprint(tmp_path / "a") == _fingerprint(tmp_path / "b")
    assert _fingerprint(tmp_path / "a") != _fingerprint(tmp_path / "c")
