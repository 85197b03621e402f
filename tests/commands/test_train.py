"""`train`: what a run writes, what is printed at its end, and what leaves no run behind."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.data import breast_cancer_mlp
from tests.support.counting import command, result_of, train_on_data
from training.data.sources import sklearn_dataset
from training.run.folder import read_settings

pytestmark = pytest.mark.usefixtures("workplace")


def test_train_writes_its_run_and_prints_the_verdict_of_its_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train compared --seed 3 --tracker none --run-dir here") == 0
    *printed, energy, run = capsys.readouterr().out.splitlines()
    assert " J (" in energy
    assert energy.startswith("energy: ")
    assert [*printed, run] == [
        "score  106",
        "count  8",
        "",
        "claim: score >= counting: judged by `verify`, which runs counting on the same seeds",
        "claim: score >= 400: does not hold for this one seed (106); `verify` judges it on 5",
        "run: here",
    ]
    result = result_of("here")
    assert (result["status"], result["seed"], result["counters"]["env_steps"]) == ("completed", 3, 40)
    assert [(claim["holds"], claim["measured"], claim["seeds"]) for claim in result["claims"]] == [(False, 106, [3])]


def test_a_run_of_another_problem_is_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither on the console, nor in its result; nor is a child that goes on with another problem."""
    told = "not judged: dataset is not numbers"
    assert command("train counting --dataset letters --tracker none --run-dir here") == 0
    assert f"claim: score >= 150: {told}" in capsys.readouterr().out
    assert (result_of("here")["claims"], result_of("here")["not_judged"]) == ([], {"score >= 150": told})
    assert command("resume here --env-steps 50 --run-dir child") == 0
    assert result_of("child")["not_judged"] == {"score >= 150": told}
    assert command("resume child --env-steps 60 --dataset numbers --run-dir grandchild") == 0
    assert (len(result_of("grandchild")["claims"]), result_of("grandchild")["not_judged"]) == (1, {})


def test_the_last_good_checkpoint_is_named_when_a_later_loss_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train diverging --tracker none --run-dir here") == 1
    *_, told = capsys.readouterr().err.splitlines()
    assert told == (
        "error: update 6: the loss is inf; the norm of the gradient is not finite for weight; "
        "the last good checkpoint is here/checkpoints/0000000004"
    )
    assert (result_of("here")["status"], result_of("here")["checkpoint"]) == ("failed", "checkpoints/0000000004")


def test_a_mistake_that_training_finds_does_not_take_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --broken mistake --tracker none --run-dir here") == 2
    assert not Path("here").exists()
    assert command("train counting --tracker none --run-dir here") == 0
    assert command("train counting --broken mistake --tracker none --run-dir here") == 2
    assert "run folder taken" in capsys.readouterr().err
    assert result_of("here")["status"] == "completed"


def test_the_end_of_a_run_sets_what_was_measured_beside_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train ppo_cartpole --env-steps 512 --tracker none --run-dir here --evaluation.final-episodes 10"
    assert main([*asked.split(), "--evaluation.every.count", "256"]) == 0
    *table, empty, claim, energy, run = capsys.readouterr().out.splitlines()
    assert [line.split() for line in table] == [
        [name, f"{value:.6g}", "best", "checkpoint", f"{result_of('here')['best'][name]:.6g}"]
        for name, value in result_of("here")["metrics"].items()
    ]
    (column,) = {line.index("best checkpoint") for line in table}
    assert column < 40
    assert (empty, run) == ("", "run: here")
    assert energy.startswith("energy: ")
    assert claim.endswith(">= 475 on 70 % of seeds: not judged: evaluation.final_episodes is not 100")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("missing", "error: sklearn breast_cancer: column 'mean texture' is missing in"),
        ("constant", "error: sklearn breast_cancer: column 'mean texture' is constant in the training split"),
        ("repeated", "error: sklearn breast_cancer leaks: 1 inputs are in"),
        ("absent", "error: sklearn breast_cancer: class 1 (benign) is absent from the training split"),
    ],
)
def test_bad_data_are_one_line_and_leave_no_run(
    spoil: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sklearn_dataset("breast_cancer")
    values, target = data.arrays["input"], data.arrays["target"]
    if spoil == "missing":
        values[7, 1] = np.nan
    elif spoil == "constant":
        values[:, 1] = 1.0
    elif spoil == "repeated":
        values[1:300:3] = values[0]
        values[1:300:3, 0] = np.arange(100)
        values[[0, 1]] = values[2]
        values[400] = values[401] = values[402] = values[403] = values[404] = values[2]
    else:
        target[:] = 0
    monkeypatch.setattr(breast_cancer_mlp, "sklearn_dataset", lambda _: data)
    assert train_on_data(tmp_path / "run", "--epochs", "2") == 2
    captured = capsys.readouterr().err.strip().splitlines()[-1]
    assert captured.startswith(told)
    assert not (tmp_path / "run").exists()


SHORT = "--env-steps 256 --agent.horizon 16 --agent.minibatch-size 64 --evaluation.final-episodes 10 --tracker none"


def test_an_algorithm_learns_the_environment_that_is_named_and_the_run_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    env_id = "tests.support.toy_envs:RandomWalk-v0"
    assert main(["train", "ppo", "--env.id", env_id, *SHORT.split()]) == 0
    assert capsys.readouterr().err.startswith(f"preset: default of ppo, for {env_id}; --preset takes another\n")
    (run,) = Path("runs/ppo-tests.support.toy_envs-RandomWalk-v0").iterdir()
    settings = read_settings(run)
    assert (settings["experiment"], settings["group"]) == ("ppo", run.parent.name)
    assert settings["chosen"]["preset"] == "default"
    assert settings["config"]["policy"]["normalize_observation"] is True  # the preset's
    assert settings["config"]["agent"]["horizon"] == 16  # the option's

    assert main(["resume", str(run), "--env-steps", "2048"]) == 0
    assert "preset:" not in capsys.readouterr().err
    (child,) = set(run.parent.iterdir()) - {run}
    assert read_settings(child)["chosen"]["preset"] == "default"
    assert (result_of(child)["counters"]["env_steps"], read_settings(child)["parent"]) == (2048, str(run))
    assert main(["evaluate", str(child), "--episodes", "10"]) == 0


def test_another_preset_of_an_algorithm_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    asked = f"train ppo --env.id CartPole-v1 --preset discrete_states --run-dir here {SHORT}"
    assert main(asked.split()) == 0
    assert "preset: discrete_states of ppo, for CartPole-v1" in capsys.readouterr().err
    assert read_settings(Path("here"))["chosen"]["preset"] == "discrete_states"
    assert main(["resume", "here", "--preset", "default"]) == 2
    assert "unknown option --preset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("train ppo", "ppo takes the environment that it is to learn: --env.id Pendulum-v1"),
        ("train dqn --env.id Pendulum-v1", "dqn takes Discrete actions; Pendulum-v1 has Box(-2.0, 2.0, (1,), float32)"),
        (
            "train ppo --env.id CartPole-v1 --preset atarri",
            "preset = 'atarri': it takes auto or a preset; did you mean",
        ),
        (
            "train ppo --env.id CartPole-v1 --agent.horizn 3",
            "unknown option --agent.horizn: did you mean --agent.horizon",
        ),
        ("train ppo_cartpole --preset default", "unknown option --preset"),
        ("verify ppo", "ppo makes no claim to verify"),
        ("rates ppo", "a range test takes an experiment that learns from data"),
    ],
)
def test_a_mistake_about_an_algorithm_leaves_nothing(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    (*_, last) = capsys.readouterr().err.splitlines()
    assert last.startswith(f"error: {told}")
    assert list(Path().iterdir()) == []


def test_the_help_of_an_algorithm_has_its_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "ppo", "--help"]) == 0
    told = capsys.readouterr().out
    assert "--preset" in told
    assert re.search(r"--agent\.horizon INT[^(]*\(default: 128\)", told)
    assert main(["train", "ppo", "--env.id", "Reacher-v5", "--help"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"--agent\.horizon INT[^(]*\(default: 256\)", told)
    assert "Reacher-v5" in told
    assert main(["train", "ppo_cartpole", "--help"]) == 0
    assert "--preset" not in capsys.readouterr().out


def test_a_run_whose_environment_no_seed_decides_says_that_it_is_not_exact(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["train", "ppo_cartpole", "--env.id", "tests.support.toy_envs:DrawsElsewhere-v0", "--env-steps", "256"]
    asked += ["--agent.horizon", "32", "--agent.minibatch-size", "256", "--tracker", "none", "--run-dir", "here"]
    assert main(asked) == 0
    told = capsys.readouterr()
    why = (
        "tests.support.toy_envs:DrawsElsewhere-v0: the same seed gives another observation at the reset: it draws from "
        "np.random"
    )
    assert told.err.count(f"warning: this run is not exact: {why}\n") == 1
    assert f"not exact: {why}\n" in told.out
    assert result_of("here")["exact"] is False
    assert result_of("here")["inexact"] == [why]
