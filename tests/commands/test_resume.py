"""`resume`: a run that was stopped goes on, and one that is finished gets a child."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents.acting import evaluation
from experiments.__main__ import main
from tests.support.counting import PACKAGE, command, result_of, train_on_data, wait_until
from training.run.run import Run

pytestmark = pytest.mark.usefixtures("workplace")

KILLED_WHILE_COPYING = f"""
import os, shutil, signal
from agents.acting import evaluation
from experiments.__main__ import main
really_copy = shutil.copy
def copy(source, target):
    if source.name == "timing.jsonl":
        os.kill(os.getpid(), signal.SIGKILL)
    return really_copy(source, target)
shutil.copy = copy
main("resume here --env-steps 60".split(), {PACKAGE!r})
"""


def test_an_interrupted_run_says_how_to_continue_and_continues(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train counting --env-steps 100 --tracker none --run-dir here --pause-s 0.1"
    process = subprocess.Popen([sys.executable, "-m", PACKAGE, *asked.split()], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: any(Path("here", "checkpoints").glob("*[0-9]")), process)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert "continue with: python -m experiments resume here" in told
    assert result_of("here")["status"] == "interrupted"

    settings = json.loads(Path("here", "config.json").read_text())
    settings["config"]["pause_s"] = 0.0
    Path("here", "config.json").write_text(json.dumps(settings))
    assert command("resume here") == 0
    assert command("train counting --env-steps 100 --tracker none --run-dir there") == 0
    assert result_of("here")["metrics"] == result_of("there")["metrics"]
    assert Path("here", "metrics.jsonl").read_bytes() == Path("there", "metrics.jsonl").read_bytes()
    assert command("resume here") == 0
    assert "finished" in capsys.readouterr().err


def test_a_finished_run_is_extended_as_its_child(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker none --run-dir here") == 0
    assert command("resume here --env-steps 40") == 2
    assert "it takes more than the 40 that here has done" in capsys.readouterr().err
    assert command("resume here --env-steps 60") == 0
    (child,) = Path("runs", "counting").iterdir()
    assert result_of(child)["parent"] == "here"
    assert result_of(child)["metrics"]["count"] == 12
    assert result_of("here")["metrics"]["count"] == 8
    steps = [json.loads(row)["env_steps"] for row in Path(child, "metrics.jsonl").read_text().splitlines()]
    assert steps == [10, 20, 30, 40, 50, 60]


def test_one_stage_of_a_run_is_not_extended(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker none --run-dir here") == 0
    settings = json.loads(Path("here", "config.json").read_text())
    Path("here", "config.json").write_text(json.dumps(settings | {"stage": "02-here"}))
    assert command("resume here --env-steps 60") == 2
    assert "here is a stage of the run" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_an_extension_that_is_killed_while_it_is_made_is_no_run(tmp_path: Path) -> None:
    """Resuming it would start from scratch otherwise: what it begins with comes first, `config.json` last."""
    assert command("train counting --tracker none --run-dir here") == 0
    asked = [sys.executable, "-c", KILLED_WHILE_COPYING]
    assert subprocess.run(asked, check=False).returncode == -signal.SIGKILL
    (child,) = Path("runs", "counting").iterdir()
    assert (child / "checkpoints").exists()
    assert command(f"resume {child}") == 2


def test_a_run_that_another_process_holds_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker none --run-dir here") == 0
    with Run.open(Path("here")):
        capsys.readouterr()
        assert command("resume here") == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("error: run folder here is locked by process")


def test_a_run_is_extended_by_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert train_on_data(Path("run"), "--epochs", "None", "--steps", "5") == 0
    assert main(["resume", "run", "--steps", "5"]) == 2
    assert "error: a budget of 5 updates: it takes more than the 5 that run has done" in capsys.readouterr().err
    assert main(["resume", "run", "--steps", "8"]) == 0
    (child,) = Path("runs/breast_cancer_mlp").iterdir()
    assert json.loads((child / "result.json").read_text())["counters"]["updates"] == 8


FEW = ["--evaluation.episodes", "2", "--evaluation.final-episodes", "2", "--evaluation.num-envs", "2"]
FEW += ["--tracker", "none", "--threads", "1"]
PARENTS = {
    "ppo": ["train", "ppo_cartpole", "--env-steps", "256", "--evaluation.every.count", "256", *FEW],
    "dqn": ["train", "dqn_cartpole", "--env-steps", "700", "--replay.capacity", "600", *FEW],
    "sb3": [
        *("train", "sac_half_cheetah_sb3", "--env.id", "CartPole-v1", "--agent.algorithm", "PPO", *FEW),
        *("--agent.arguments", '{"n_steps": 64}', "--env-steps", "64", "--iteration-env-steps", "64"),
    ],
}
PARENTS["dqn"] += ["--replay.warmup-env-steps", "500"]
MORE = {"ppo": ["--env-steps", "512"], "dqn": ["--env-steps", "800"], "sb3": ["--env-steps", "192"]}
MORE["data"] = ["--epochs", "2"]


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parents")
    for name, asked in PARENTS.items():
        assert main([*asked, "--run-dir", str(folder / name)]) == 0
    assert train_on_data(folder / "data", "--epochs", "1") == 0
    return folder


@pytest.mark.parametrize(
    ("parent", "options", "told"),
    [
        ("ppo", ["--num-envs", "16"], "--num-envs=16: it does not fit what"),
        ("ppo", ["--policy.network.hidden", "32", "32"], "--policy.network.hidden=[32, 32]: it does not fit what"),
        ("ppo", ["--env.id", "MountainCar-v0"], "--env.id=MountainCar-v0: it does not fit what"),
        ("ppo", ["--env.backend", "in-process"], "--env.backend=in-process: it does not fit what"),
        ("ppo", ["--policy.normalize-observation", "True"], "--policy.normalize-observation=true: it does not fit"),
        ("ppo", ["--seed", "2"], "seed = 2: it takes 1: a child goes on with the random numbers of its parent"),
        ("ppo", ["--agent.optimizer.kind", "adamw"], "--agent.optimizer.kind=adamw: it does not fit what"),
        ("data", ["--model.network.hidden", "32"], "--model.network.hidden=[32]: it does not fit what"),
        ("sb3", ["--agent.algorithm", "A2C"], "--agent.algorithm=A2C: it does not fit what"),
        ("sb3", ["--agent.normalize-observation", "True"], "agent.normalize-observation=true: it does not fit what"),
    ],
)
def test_a_child_that_does_not_fit_its_parent_is_one_line_and_no_folder(
    parent: str, options: list[str], told: str, parents: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = tmp_path / "child"
    assert main(["resume", str(parents / parent), *options, *MORE[parent], "--run-dir", str(child)]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert told in error
    assert not child.exists()


def test_a_refused_child_leaves_its_folder_to_the_next_try(parents: Path, tmp_path: Path) -> None:
    child = tmp_path / "child"
    child.mkdir()
    asked = ["resume", str(parents / "ppo"), *MORE["ppo"], "--run-dir", str(child)]
    assert main([*asked, "--policy.network.hidden", "32"]) == 2
    assert list(child.iterdir()) == [], "the empty folder was there before"
    assert main([*asked, "--agent.horizon", "16", "--agent.minibatch-size", "64"]) == 0
    assert len((child / "metrics.jsonl").read_text().splitlines()) >= 1


@pytest.mark.parametrize(("options", "has_best"), [([], True), (["--env.time-limit", "50"], False)])
def test_a_best_score_of_another_measure_is_not_to_be_beaten(
    options: list[str], has_best: bool, parents: Path, tmp_path: Path
) -> None:
    """The child measures too seldom to have a best of its own."""
    asked = ["resume", str(parents / "ppo"), *MORE["ppo"], *options, "--evaluation.every.count", "100000"]
    assert main([*asked, "--run-dir", str(tmp_path / "child")]) == 0
    assert bool(result_of(tmp_path / "child")["best"]) == has_best
    assert result_of(parents / "ppo")["best"]


@pytest.mark.parametrize(
    ("parent", "options"),
    [
        ("ppo", ["--scale-reward", "True"]),
        pytest.param("dqn", ["--threads", "2"], marks=pytest.mark.full),
        ("dqn", ["--replay.priority-exponent", "0.6"]),
        ("dqn", ["--replay.capacity", "520"]),
        ("sb3", ["--agent.arguments", '{"n_steps": 128}']),
        ("sb3", ["--agent.normalize-reward", "True"]),
    ],
)
def test_a_child_is_trained_as_it_was_asked_to(
    parent: str, options: list[str], parents: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = tmp_path / "child"
    assert main(["resume", str(parents / parent), *options, *MORE[parent], "--run-dir", str(child)]) == 0
    told, settings = capsys.readouterr().err, json.loads((child / "config.json").read_text())
    assert f"computing on cpu, {settings['config']['threads']} thread" in told or parent == "sb3"
    assert settings["chosen"]["threads"] == settings["config"]["threads"]
    assert result_of(child)["status"] == "completed"


@pytest.mark.parametrize("during", [2, 4])
def test_a_run_that_a_signal_ends_while_it_is_measured_goes_on_to_the_same_end(
    during: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluations: two in the middle, one at the end, one of the best checkpoint; the signal comes in one of them."""
    asked = ["train", "ppo_cartpole", "--env-steps", "2048", "--tracker", "none", "--agent.horizon", "64"]
    asked += ["--evaluation.every.count", "1024", "--evaluation.episodes", "2", "--evaluation.num-envs", "2"]
    asked += ["--evaluation.final-episodes", "2", "--threads", "1"]
    assert main([*asked, "--run-dir", "whole"]) == 0
    ended = 0

    def show(run: object, doing: str, fraction: float | None = None) -> None:
        nonlocal ended
        ended += not doing
        if ended == during - 1 and doing:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "SHOWN_EVERY_S", -1.0)
        patched.setattr(Run, "show", show)
        assert main([*asked, "--run-dir", "stopped"]) == 128 + signal.SIGTERM
    assert result_of("stopped")["status"] == "interrupted"
    assert result_of("stopped")["counters"]["env_steps"] == 2048
    assert main(["resume", "stopped"]) == 0
    rows = [Path(run, "metrics.jsonl").read_bytes() for run in ("whole", "stopped")]
    assert rows[0] == rows[1]
    for part in ("metrics", "best", "exact", "counters"):
        assert result_of("stopped")[part] == result_of("whole")[part]
