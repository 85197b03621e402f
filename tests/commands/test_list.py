"""`list`: what there is to run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support.counting import command

pytestmark = pytest.mark.usefixtures("workplace")


def test_list_shows_what_makes_claims_with_the_first_line_of_its_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list") == 0
    assert capsys.readouterr().out == (
        "compared   Counts better.\n"
        "counting   Counts to a budget.\n"
        "diverging  Its loss overflows in the sixth update.\n"
    )


def test_algorithms_are_listed_apart_from_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    experiments, told, algorithms = capsys.readouterr().out.split("\n\n")
    assert told == "Algorithms, on any environment: train NAME --env.id MyEnv-v0"
    names = [{line.split()[0] for line in part.splitlines()} for part in (experiments, algorithms)]
    assert "ppo_cartpole" in names[0]
    assert {"ppo", "sac"} <= names[1]
    assert not names[0] & names[1]


def test_runs_are_listed_newest_first_with_how_each_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list --runs") == 0
    assert capsys.readouterr().out == "there is no run in runs/ yet\n"
    assert command("train counting --seed 3 --tracker none") == 0
    assert command("train compared --broken crash --tracker none --run-dir runs/fallen") == 1
    capsys.readouterr()
    assert command("list --runs") == 0
    titles, fallen, whole = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert titles == ["run", "experiment", "seed", "status", "done", "score", "time", "age"]
    assert fallen[:5] == ["fallen", "compared", "1", "failed", "0/40"]
    assert whole[1:7] == ["counting", "3", "completed", "40/40", "steps", "103"]
    assert command("list --runs counting --json") == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["status"], run["done"], run["budget"], run["score_name"]) == ("completed", 40, 40, "score")
    assert Path(run["folder"], "result.json").exists()
    assert command("list --runs thesis") == 2
    assert "runs = 'thesis': runs/ has runs of compared, counting" in capsys.readouterr().err
    assert command("list --json") == 0
    assert json.loads(capsys.readouterr().out)[0] == {"name": "compared", "description": "Counts better."}
