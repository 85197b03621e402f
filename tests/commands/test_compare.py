"""`compare` from its words to its output."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.reports.comparison.test_event_files import cleanrl
from tests.support.compared import write_run


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """runs/ppo_cartpole/ with three seeds of each of two horizons, and a run that was interrupted."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "ppo_cartpole"
    for horizon, base in ((32, 300.0), (64, 400.0)):
        for seed in (1, 2, 3):
            write_run(folder / f"{horizon}-{seed}", base + 10 * seed, seed=seed, horizon=horizon)
    write_run(folder / "stopped", 1.0, status="interrupted")
    return folder


def compared(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main(["compare", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_is_named_as_other_commands_name_it(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(runs.parent / "ppo-CartPole-v1" / "20991201T000000Z-seed1-ab12", 500.0, experiment="ppo")
    for word in ("latest", "ppo", "20991201"):
        (group,) = compared(capsys, word)["tasks"]["CartPole-v1"]["groups"].values()
        assert group["mean"]["value"] == 500.0, word


def test_an_experiment_is_compared_by_what_differs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(capsys, "ppo_cartpole")
    part = found["tasks"]["CartPole-v1"]
    assert list(part["groups"]) == ["ppo_cartpole, agent.horizon 64", "ppo_cartpole, agent.horizon 32"]
    assert part["groups"]["ppo_cartpole, agent.horizon 32"]["mean"]["value"] == 320.0
    assert found["left_out"] == [["runs/ppo_cartpole/stopped", "it is interrupted"]]


def test_runs_folders_patterns_and_logs_are_compared_under_their_labels(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cleanrl(runs.parent.parent / "logs" / "seed3")
    words = ["short:runs/ppo_cartpole/32-*", "runs/ppo_cartpole/64-1", "theirs:logs", "--metric", "rollout/return_mean"]
    found = compared(capsys, *words)
    assert list(found["tasks"]["CartPole-v1"]["groups"]) == ["theirs"]
    assert len(found["left_out"]) == 4, "no run of ours here has that metric"
    found = compared(capsys, "short:runs/ppo_cartpole/32-*", "runs/ppo_cartpole/64-1", "runs/ppo_cartpole/64-1")
    groups = found["tasks"]["CartPole-v1"]["groups"]
    assert {name: len(one["scores"]["CartPole-v1"]) for name, one in groups.items()} == {"ppo_cartpole": 1, "short": 3}


def test_best_csv_and_tables(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "runs", "--at", "best", "--csv"]) == 0
    told = capsys.readouterr()
    rows = list(csv.DictReader(told.out.splitlines()))
    assert {row["value"] for row in rows if row["quantity"] == "mean"} == {"321.0", "421.0"}
    assert "left out: runs/ppo_cartpole/stopped" in told.err
    assert main(["compare", "ppo_cartpole", "--target", "475"]) == 0
    assert "What differs in the configs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "takes RUN... first"),
        (["ppo_cartpol"], "did you mean ppo_cartpole?"),
        (["sac_pendulum"], "runs/sac_pendulum holds no run"),
        (["runs/*/none"], "matches no file or folder"),
        (["empty"], "holds no run and no log"),
        (["ppo_cartpole", "--metric", "loss"], "they have evaluation/return_mean"),
        (["ppo_cartpole", "--json", "--csv"], "false with --json"),
        (["ppo_cartpole", "--normalize", "published"], "no published scores"),
        (["ppo_cartpole", "--at", "last"], "it takes"),
        (["runs/ppo_cartpole/32-1/config.json"], "no log that is known"),
    ],
)
def test_a_mistake_is_one_line(runs: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert main(["compare", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
