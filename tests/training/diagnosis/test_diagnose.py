"""The diagnosis finds every fault that was planted into a real run, and nothing in those that are healthy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support.diagnosed_runs import FAULTS, FOLDER, HEALTHY, SHOWN, UNSEEN, read
from training.diagnosis.diagnose import SYMPTOMS, diagnose, diagnose_run
from training.diagnosis.record import Record
from training.errors import UserError


@pytest.mark.parametrize("fault", SHOWN)
def test_a_planted_fault_is_among_what_is_found(fault: str) -> None:
    assert {*SHOWN[fault]} <= {finding.name for finding in diagnose(read(fault))}


@pytest.mark.parametrize("name", [*HEALTHY, *UNSEEN])
def test_nothing_is_found_in_a_healthy_run(name: str) -> None:
    assert diagnose(read(name)) == []


def test_every_symptom_was_planted_and_every_fault_shows_one() -> None:
    assert {name for names in SHOWN.values() for name in names} == {
        symptom.name for symptom in SYMPTOMS if not symptom.general
    }
    assert set(SHOWN) == set(FAULTS)
    assert len({*HEALTHY, *UNSEEN}) >= 20
    assert len(UNSEEN) >= 10


def test_the_kept_runs_are_those_that_are_named_and_small() -> None:
    kept = list(FOLDER.iterdir())
    assert {file.stem for file in kept} == {*FAULTS, *HEALTHY, *UNSEEN}
    assert sum(file.stat().st_size for file in kept) < 500_000


def test_a_general_finding_is_told_only_alone() -> None:
    tiny = read("tiny_learning_rate")
    assert "not learning" not in [finding.name for finding in diagnose(tiny)]
    returns = ("rollout/return_mean", "rollout/episodes")
    rows = [{key: row[key] for key in row if "/" not in key or key in returns} for row in tiny.rows]
    assert [finding.name for finding in diagnose(Record(rows, {}, {}))] == ["not learning"]


def test_a_run_with_few_rows_is_not_judged() -> None:
    for fault in SHOWN.keys() - {"learns_too_seldom"}:
        record = read(fault)
        assert diagnose(Record(record.rows[:5], record.config, {})) == []


def test_stages_are_diagnosed_each_by_itself(tmp_path: Path) -> None:
    names = ("id", "tracker", "config_hash", "source_hash")
    for stage, name in (("01-one", "large_entropy_coefficient"), ("02-two", "ppo_cartpole")):
        kept = json.loads((FOLDER / f"{name}.json").read_text())
        folder = tmp_path / stage
        folder.mkdir()
        settings = {**kept["settings"], **dict.fromkeys(names, ""), "stage": stage}
        (folder / "config.json").write_text(json.dumps(settings))
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in read(name).rows))
    found = diagnose_run(tmp_path)
    assert [finding.name for finding in found["01-one"]] == ["policy stays random"]
    assert found["02-two"] == []


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run"):
        diagnose_run(tmp_path)
    assert main(["diagnose", str(tmp_path)]) == 2
