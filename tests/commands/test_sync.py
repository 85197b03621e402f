"""`sync`: a whole run as a copy in Weights & Biases."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.counting import command, result_of
from tests.support.sweep_server import sweep_server
from tests.support.tracked import read_back
from training.run.folder import read_settings
from training.run.tracker import sync

pytestmark = pytest.mark.usefixtures("workplace")


def test_the_place_of_the_copy_in_wandb_is_told_before_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker offline --run-dir here") == 0
    *_, copy, verdict, run = capsys.readouterr().out.splitlines()
    assert verdict.startswith("claim: score >= 150: does not hold for this one seed")
    folder, _, sending = copy.removeprefix("wandb: offline copy in ").partition(", ")
    assert sending == "send it with: make sync RUN=here"
    assert any(Path(folder).glob("*.wandb"))
    assert run == "run: here"
    assert command("sync here --tracker offline") == 0
    assert any(Path(capsys.readouterr().out.strip()).glob("*.wandb"))


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
