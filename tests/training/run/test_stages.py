"""The stages of a run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.runs import create, result, train
from training.errors import UserError
from training.interruption import Interrupted
from training.run.checkpoint import read_state
from training.run.folder import find_checkpoint
from training.run.run import Run


def test_stages_have_folders_and_results_and_are_skipped_when_finished(tmp_path: Path) -> None:
    trained = []

    def experiment(run: Run, *, stop: bool) -> None:
        for name, updates in (("pretrain", 2), ("finetune", 3)):
            stage = run.stage(name)
            if stage.finished:
                continue
            trained.append(name)
            now = train(stage, updates)
            if stop and name == "finetune":
                raise Interrupted(signal.SIGTERM)
            stage.finish(now, metrics={"score": updates})
        run.finish(now, metrics={"score": 9.0})

    with pytest.raises(Interrupted), create(tmp_path, parent="earlier") as run:
        experiment(run, stop=True)
    first, second, whole = (result(tmp_path / name) for name in ("01-pretrain", "02-finetune", "."))
    assert [one["status"] for one in (first, second, whole)] == ["completed", "interrupted", "interrupted"]
    assert [one["parent"] for one in (first, second, whole)] == ["earlier", "01-pretrain", "earlier"]
    assert whole["checkpoint"] == "02-finetune/checkpoints/0000000003"
    assert whole["counters"]["updates"] == 3
    with Run.open(tmp_path) as run:
        experiment(run, stop=False)
    assert trained == ["pretrain", "finetune", "finetune"]
    second, whole = result(tmp_path / "02-finetune"), result(tmp_path)
    assert (second["status"], whole["status"]) == ("completed", "completed")
    assert whole["wall_time_s"] == pytest.approx(first["wall_time_s"] + second["wall_time_s"])
    assert (tmp_path / "01-pretrain/metrics.jsonl").exists()
    assert read_state(find_checkpoint(tmp_path, "last"), "agent")["weight"].tolist() == [3, 3]
    assert find_checkpoint(tmp_path / "01-pretrain", "last").parent.parent.name == "01-pretrain"
    with pytest.raises(UserError, match="is a stage of the run"):
        Run.open(tmp_path / "01-pretrain")


def test_another_stage_in_the_same_place_is_refused(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        run.stage("pretrain")
    with Run.open(tmp_path) as run, pytest.raises(UserError, match=r"01-distill .* is 01-pretrain there"):
        run.stage("distill")
