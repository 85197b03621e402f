"""The command `regimen`, installed as pip installs it, in a folder that is not the clone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

OWN = '''"""A policy of one's own balances a pole, as ours does."""

from dataclasses import dataclass
from experiments.control import ppo_cartpole
from training.claims import Claim


@dataclass(frozen=True, kw_only=True)
class Config(ppo_cartpole.Config):
    env_steps: int = 512


CLAIMS = (Claim("evaluation/return_mean", ">=", 400.0),)
train = ppo_cartpole.train
'''
SMALL = ["--tracker", "none", "--evaluation.final-episodes", "2"]


def regimen(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """As its script in bin/ does, which has no folder of ours before the others."""
    program = "import sys; sys.argv[0] = 'regimen'; from commands.__main__ import run; sys.exit(run())"
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-c", program, *words]
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300)


def test_it_finds_the_experiments_of_the_working_directory_beside_its_own(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "own_cartpole.py").write_text(OWN)
    listed = regimen("list", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    names = [line.split(" ")[0] for line in listed.stdout.splitlines()]
    assert {"own_cartpole", "ppo_cartpole", "ppo"} <= set(names)
    described = regimen("train", "own_cartpole", "--help", cwd=tmp_path)
    assert "A policy of one's own balances a pole" in described.stdout, described.stderr


@pytest.mark.full
def test_a_script_of_ones_own_is_part_of_what_its_run_was_computed_with(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "own_cartpole.py").write_text(OWN)
    done = regimen("train", "own_cartpole", "--run-dir", "mine", *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    settings = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert settings["experiment"] == "own_cartpole"
    (tmp_path / "experiments" / "own_cartpole.py").write_text(OWN + "# changed\n")
    again = regimen("train", "own_cartpole", "--run-dir", "again", *SMALL, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "again" / "config.json").read_text())["source_hash"] != settings["source_hash"]
    assert (tmp_path / "mine" / "metrics.jsonl").read_bytes() == (tmp_path / "again" / "metrics.jsonl").read_bytes()


def test_it_is_called_regimen_and_refuses_a_package_that_would_hide_its_own(tmp_path: Path) -> None:
    asked = regimen("--help", cwd=tmp_path)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("usage: regimen COMMAND")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").touch()
    refused = regimen("list", cwd=tmp_path)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line.endswith("hides regimen's own experiments: remove it, it is not needed")


@pytest.mark.full
def test_a_child_process_finds_them_too(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "own_cartpole.py").write_text(OWN)
    looked = regimen("verify", "own_cartpole", "--seeds", "2", "--run-dir", "seeds", cwd=tmp_path)
    assert [line.split(", ")[0] for line in looked.stderr.splitlines() if ": done" in line] == [
        "own_cartpole seed 101: done",
        "own_cartpole seed 102: done",
    ]
