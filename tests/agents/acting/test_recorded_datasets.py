"""The recipe of the datasets: four of one learner, made whole after a kill, and never replaced."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from envs.episodes.dataset_folders import find_dataset
from envs.episodes.datasets import read_dataset
from experiments.__main__ import main
from experiments.offline import record_pendulum
from tests.support import ROOT
from training.options import parse_options

pytestmark = pytest.mark.usefixtures("root")


RECIPE = [
    *[
        "train",
        "record_pendulum",
        "--tracker",
        "none",
        "--env-steps",
        "1024",
        "--agent.horizon",
        "64",
        "--agent.epochs",
        "1",
    ],
    *[
        "--checkpoint.every.count",
        "256",
        "--mixture.episodes",
        "3",
        "--mixture.replay-episodes",
        "2",
        "--log-every.count",
        "256",
    ],
    *["--evaluation.final-episodes", "10", "--run-dir"],
]


KINDS = ("expert", "medium", "replay", "mixed")


def made(folder: str) -> dict[str, str]:
    return {kind: read_dataset(f"{folder}/datasets/regimen/pendulum/{kind}-v0").sha256 for kind in KINDS}


def find_datasets() -> list[Path]:
    return list(Path("datasets").rglob("metadata.json"))


KILLER = """
import os, signal, sys
import agents.acting.recorded_datasets as mixtures
from experiments.__main__ import main
real, saved = mixtures.save, []
def dies(*args, **kwargs):
    if len(saved) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    saved.append(args)
    return real(*args, **kwargs)
mixtures.save = dies
main(sys.argv[1:])
"""


def test_the_recipe_makes_four_datasets_of_one_learner(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RECIPE, "run"]) == 0
    result = json.loads(Path("run/result.json").read_text())
    expert, medium, replay, mixed = (read_dataset(f"run/datasets/regimen/pendulum/{kind}-v0") for kind in KINDS)
    assert [len(part) for part in (expert, medium, replay, mixed)] == [3, 3, 8, 14]
    assert np.array_equal(mixed.reward, np.concatenate([part.reward for part in (expert, medium, replay)]))
    for kind, part in zip(KINDS, (expert, medium, replay, mixed), strict=True):
        assert result["metrics"][f"{kind}/return_mean"] == pytest.approx(part.returns.mean())
    assert result["counters"]["env_steps"] == 1024
    assert json.loads(Path("run/02-record/result.json").read_text())["parent"] == "01-learn"
    assert not find_datasets(), "only the default settings' datasets get the names"
    assert main(["record", "run", "--episodes", "2", "--dataset", "tiny/again-v0"]) == 0, "it finds the learner's stage"


def test_a_recipe_that_is_killed_goes_on_and_makes_the_same() -> None:
    assert main([*RECIPE, "whole"]) == 0
    repository = ROOT
    argv = [sys.executable, "-c", KILLER, *RECIPE, str(Path("killed").absolute())]
    died = subprocess.run(argv, cwd=repository, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    first = find_dataset("killed/datasets/regimen/pendulum/expert-v0").stat().st_mtime_ns
    assert main(["resume", "killed"]) == 0
    assert made("killed") == made("whole")
    assert find_dataset("killed/datasets/regimen/pendulum/expert-v0").stat().st_mtime_ns == first
    results = [json.loads(Path(run, "result.json").read_text()) for run in ("killed", "whole")]
    assert results[0]["metrics"] == results[1]["metrics"]


def test_the_datasets_of_the_recipe_are_made_where_they_are_missing_and_never_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (small,) = parse_options(RECIPE[4:-1], record_pendulum.Config())
    monkeypatch.setattr(record_pendulum, "Config", lambda: small)
    record_pendulum.provide("tiny/other-v0")
    assert not Path("runs").exists(), "it is not the recipe's"
    record_pendulum.provide("regimen/pendulum/mixed-v0")
    told = capsys.readouterr().err
    assert "dataset regimen/pendulum/mixed-v0 is missing: record_pendulum records it first" in told
    (run,) = Path("runs/record_pendulum").iterdir()
    before = {kind: read_dataset(f"regimen/pendulum/{kind}-v0").sha256 for kind in KINDS}
    assert before == made(str(run))

    record_pendulum.provide("regimen/pendulum/mixed-v0")
    assert len(list(Path("runs/record_pendulum").iterdir())) == 1, "nothing is made twice"
    small = replace(small, seed=2)
    find_dataset("regimen/pendulum/mixed-v0").rename("aside")
    record_pendulum.provide("regimen/pendulum/mixed-v0")
    assert "dataset regimen/pendulum/expert-v0 is there already and stays" in capsys.readouterr().err
    after = {kind: read_dataset(f"regimen/pendulum/{kind}-v0").sha256 for kind in KINDS}
    assert {kind for kind in KINDS if after[kind] != before[kind]} == {"mixed"}


def test_too_few_checkpoints_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RECIPE, "run", "--checkpoint.keep-last", "1", "--evaluation.every.count", "4096"]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line == "error: run/01-learn has 1 checkpoints: a mixture takes at least 3"
