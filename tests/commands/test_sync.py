"""`sync`: a whole run as a copy in Weights & Biases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT
from tests.support.counting import command, result_of
from tests.support.sweep_server import sweep_server
from tests.support.tracked import read_back
from training.experiments import load_experiment
from training.options import config_to_tree, parse_options
from training.run.folder import read_settings
from training.run.tracker import sync

pytestmark = pytest.mark.usefixtures("workplace", "logged_out")


def test_the_place_of_the_copy_in_wandb_is_told_before_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker offline --run-dir here") == 0
    *_, copy, verdict, _energy, run = capsys.readouterr().out.splitlines()
    assert verdict.startswith("claim: score >= 150: does not hold for this one seed")
    folder, _, sending = copy.removeprefix("wandb: offline copy in ").partition(", ")
    assert sending == "send it with: make sync RUN=here"
    assert any(Path(folder).glob("*.wandb"))
    assert run == "run: here"
    assert command("sync here --tracker offline") == 0
    assert any(Path(capsys.readouterr().out.strip()).glob("*.wandb"))


def copied_later(folder: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `sync` tells W&B of a run, however busy this machine is."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    told: dict[str, Any] = read_back(Path(sync(Path(folder), "offline")))["run"]
    return told


@pytest.mark.full
def test_how_a_copy_is_filed_is_no_part_of_what_is_trained_and_a_child_keeps_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert command("train counting --run-dir filed --wandb-project mine --tags a,b --wandb.group pair") == 0
    said = capsys.readouterr().err
    assert "--wandb-project mine is read as --wandb.project mine" in said
    assert "--tags a,b is read as --wandb.tags a,b" in said
    assert command("train counting --run-dir plain") == 0
    assert command("resume filed --env-steps 60 --run-dir child") == 0
    settings, plain, child = (read_settings(Path(name)) for name in ("filed", "plain", "child"))
    assert settings["wandb"] == child["wandb"] == {"project": "mine", "group": "pair", "tags": ["a", "b"]}
    assert settings["config"] == plain["config"]
    assert settings["config_hash"] == plain["config_hash"]
    assert "wandb" not in plain
    for folder in ("filed", "child"):
        told = copied_later(folder, monkeypatch)
        assert (told["project"], told["run_group"], told["tags"]) == ("mine", "pair", ["a", "b"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            "--tracker online",
            "tracker = 'online': nobody is logged in to W&B; `wandb login` logs in, and --tracker offline",
        ),
        ("--track --seeds 1,2", "tracker = 'online': nobody is logged in to W&B"),
        ("--tracker offline --wandb.project us/mine", "wandb.project = 'us/mine': it takes a name without any of"),
        ("--tracker none --wandb.tags a", "wandb.tags = ['a']: it takes a tracker that is W&B, and not 'none'"),
    ],
)
def test_what_wandb_would_not_take_is_told_before_anything_is_written(
    asked: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(f"train counting {asked}") == 2
    assert f"error: {told}" in capsys.readouterr().err.splitlines()[-1]
    assert not Path("runs").exists()


@pytest.mark.full
def test_the_seeds_of_one_call_are_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert command("train counting --seeds 1,2 --run-dir seeds") == 0
    first, second = (copied_later(f"seeds/seed={seed}", monkeypatch) for seed in (1, 2))
    assert first["run_group"] == second["run_group"]
    assert first["run_group"].startswith("counting-")
    assert first["run_id"] != second["run_id"]


@pytest.mark.full
def test_what_an_agent_of_a_wandb_sweep_starts_is_filed_under_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the agent sets and passes, and without a server: offline the copy names its sweep too."""
    for name, value in {"SWEEP_ID": "a-sweep", "RUN_ID": "r4nd0m1d", "MODE": "disabled"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    assert command("train counting --gain=0.001 --seed=3 --env-steps=20 --run-dir=swept") == 0
    for name in ("SWEEP_ID", "RUN_ID"):
        monkeypatch.delenv(f"WANDB_{name}")
    told = copied_later("swept", monkeypatch)
    assert (told["run_id"], told["sweep_id"]) == ("r4nd0m1d", "a-sweep")
    settings = read_settings(Path("swept"))
    assert (settings["seed"], settings["config"]["gain"], settings["config"]["env_steps"]) == (3, 0.001, 20)


def test_the_sweep_in_the_documentation_asks_for_options_that_there_are() -> None:
    (text,) = re.findall(r"```yaml\n(# sweep.yaml.*?)```", (ROOT / "docs/trackers.md").read_text(), re.DOTALL)
    sweep = yaml.safe_load(text)
    python, *words, args = sweep["command"]
    assert (python, words[:3], args) == (".venv/bin/python", ["-m", "experiments", "train"], "${args}")
    (name,) = words[3:]
    default = load_experiment(name, "experiments").Config()
    for parameter, values in sweep["parameters"].items():
        for value in values.get("values", [values.get("min"), values.get("max")]):
            (config,) = parse_options([f"--{parameter}={value}"], default)
            assert config_to_tree(config)["agent"][parameter.removeprefix("agent.")] == value
    assert sweep["metric"]["name"] == load_experiment(name, "experiments").CLAIMS[0].metric


@pytest.mark.full
def test_an_agent_of_a_wandb_sweep_trains_our_experiments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The agent is wandb's own, the server that it asks is in this process."""
    run = tmp_path / "swept"
    train = ["-m", "trials", "train", "counting", "--tracker=none", f"--run-dir={run}"]
    with sweep_server(
        ["${env}", sys.executable, *train, "${args}"], {"gain": 1e-3, "seed": 3, "dataset": "a b"}
    ) as url:
        for name, value in {"BASE_URL": url, "API_KEY": "f" * 40, "DIR": str(tmp_path)}.items():
            monkeypatch.setenv(f"WANDB_{name}", value)
        agent = [sys.executable, "-m", "wandb", "agent", "us/regimen/a-sweep"]
        done = subprocess.run(agent, capture_output=True, text=True)
    assert result_of(run)["status"] == "completed", done.stderr
    settings = read_settings(run)
    assert (settings["seed"], settings["config"]["gain"], settings["config"]["dataset"]) == (3, 0.001, "a b")
    assert settings["wandb_agent"] == {"sweep_id": "a-sweep", "run_id": "r4nd0m1d"}
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    told = read_back(Path(sync(run, "offline")))["run"]  # without the agent
    assert (told["run_id"], told["sweep_id"], told["project"]) == ("r4nd0m1d", "a-sweep", "regimen")


def test_the_copy_for_tensorboard_is_told_with_the_command_that_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker tensorboard --run-dir here") == 0
    folder = Path("here/tensorboard").resolve()
    told = f"tensorboard: {folder}, look at it with: tensorboard --logdir {folder}"
    assert told in capsys.readouterr().out.splitlines()
    assert not Path("here/wandb").exists()


def test_a_tracker_that_there_is_not_is_refused_before_anything_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker comet --run-dir here") == 2
    assert capsys.readouterr().err.startswith(
        "error: tracker = 'comet': it takes auto, online or offline, which are W&B"
    )
    assert not Path("here").exists()
    assert command("sync no/where --tracker none") == 2
    assert "tracker = 'none': it takes auto, online" in capsys.readouterr().err


def test_sync_of_a_folder_of_runs_copies_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2):
        assert command(f"train counting --tracker none --seed {seed} --run-dir seeds/{seed}") == 0
    capsys.readouterr()
    assert command("sync seeds --tracker tensorboard") == 0
    wanted = [str(Path(f"seeds/{seed}/tensorboard").resolve()) for seed in (1, 2)]
    assert capsys.readouterr().out.splitlines() == wanted
