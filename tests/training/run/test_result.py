"""The result of a run: its claims, and the accounts of its stages as one."""

from __future__ import annotations

from pathlib import Path

from tests.support.runs import create, result, train
from training.claims import Claim, Claims
from training.energy.intensity import EnergyOptions
from training.run.clock import Clock
from training.run.result import Account, account_in, account_of, joined, return_gained
from training.run.run import Run


def test_the_verdicts_are_part_of_the_result_of_a_completed_run(tmp_path: Path) -> None:
    claims = Claims((Claim("score", ">=", 2.0),))
    with create(tmp_path, claims=claims) as run:
        train(run, 1)
    with Run.open(tmp_path, claims=claims) as run:
        run.finish(train(run, 2), metrics={"score": 3.0})
    assert [verdict["holds"] for verdict in result(tmp_path)["claims"]] == [True]


def test_the_account_of_a_run_of_stages_adds_up_times_and_names_each_reason_once() -> None:
    stages = [Account(["clock", "learners"], 3.0, 2.0), Account(["clock"], 0.5, 0.25)]
    own = Account(["packages"], 9.0, 9.0)
    assert joined(own, stages, EnergyOptions()) == Account(["packages", "clock", "learners"], 3.5, 2.25)


def test_the_account_of_a_finished_run_is_the_one_in_its_result(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        run.not_exact("it was made up")
        run.finish(train(run, 1), metrics={})
    written = result(tmp_path)
    assert account_in(written).inexact == ["it was made up"] == written["inexact"]
    assert account_in(written).training_time_s == written["training_time_s"] > 0
    assert account_of(Clock(["it is new"]), None).inexact == ["it is new"]


def test_the_return_gained_is_from_the_first_one_in_the_log(tmp_path: Path) -> None:
    rows = [
        '{"updates": 1, "loss": 1.0}',
        '{"updates": 2, "rollout/return_mean": -5.0}',
        '{"evaluation/return_mean": 1}',
    ]
    assert return_gained(tmp_path, {"evaluation/return_mean": 7.0}) is None
    (tmp_path / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    assert return_gained(tmp_path, {"evaluation/return_mean": 7.0}) == 12.0
    assert return_gained(tmp_path, {"evaluation/return_mean": float("nan")}) is None
    assert return_gained(tmp_path, {"test/accuracy": 0.9}) is None
