"""Runs: their folder, lock, stages and result, and how signals end them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.runs import Config, Part, create, result, train
from training.core import Budget, Counters, Every
from training.errors import UserError
from training.metrics import Last
from training.options import config_from_tree
from training.run.checkpoint import CheckpointConfig
from training.run.folder import find_checkpoint, read_settings
from training.run.provenance import describe_environment
from training.run.run import Run


def test_a_run_may_be_kept_in_a_group_of_its_own(tmp_path: Path) -> None:
    for group in (None, "example-Lake-v1"):
        with Run.create("example", Config(), tracker="none", group=group, runs=tmp_path) as run:
            settings = read_settings(run.folder)
        assert run.folder.parent == tmp_path / (group or "example")
        assert (settings["experiment"], settings["group"]) == ("example", group or "example")


def test_a_completed_run_holds_everything_about_itself(tmp_path: Path) -> None:
    with Run.create("example", Config(), tracker="none", runs=tmp_path) as run:
        now = train(run, 4)
        run.finish(now, metrics={"evaluation/return_mean": 500.0}, best={"evaluation/return_mean": 501.0})
    assert run.folder.parent == tmp_path / "example"
    assert re.fullmatch(r"\d{8}T\d{6}Z-seed3-[0-9a-f]{4}", run.folder.name)
    assert {path.name for path in run.folder.iterdir()} == {
        *("config.json", "environment.json", "metrics.jsonl", "timing.jsonl", "checkpoints", "result.json")
    }
    settings = read_settings(run.folder)
    assert settings["config"] == {"seed": 3, "rate": 0.5}
    assert len(settings["config_hash"]) == len(settings["source_hash"]) == 64
    written = result(run.folder)
    assert 0 < written.pop("training_time_s") <= written.pop("wall_time_s") < 60
    assert 0 < written.pop("energy")["energy_j"] < 240
    assert written == {
        "experiment": "example",
        "status": "completed",
        "exact": True,
        "inexact": [],
        "seed": 3,
        "counters": {"env_steps": 40, "updates": 4, "samples": 0, "epochs": 0},
        "stopped_early": None,
        "metrics": {"evaluation/return_mean": 500.0},
        "best": {"evaluation/return_mean": 501.0},
        "claims": [],
        "not_judged": {},
        "parent": None,
        "checkpoint": "checkpoints/0000000004",
    }
    assert find_checkpoint(run.folder, "last").name == "0000000004"
    assert find_checkpoint(run.folder, "best").name == "0000000002"


def test_two_runs_made_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    runs = [Run.create("example", Config(), tracker="none", runs=tmp_path) for _ in range(5)]
    assert len({run.folder for run in runs}) == 5
    for run in runs:
        run.close()


def make_a_mistake(run: Run) -> None:
    with pytest.raises(UserError, match="no such device"), run:
        raise UserError("no such device")


def test_a_mistake_before_anything_was_trained_leaves_no_folder_behind(tmp_path: Path) -> None:
    make_a_mistake(create(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    make_a_mistake(create(tmp_path / "empty"))
    assert list((tmp_path / "empty").iterdir()) == [], "the folder itself was there before"
    staged = create(tmp_path / "staged")
    staged.stage("pretrain").open_log(Every(1), Budget(1))
    make_a_mistake(staged)
    assert not (tmp_path / "staged").exists()


def test_a_mistake_takes_away_nothing_that_was_trained_or_is_not_the_runs_own(tmp_path: Path) -> None:
    with create(tmp_path / "trained") as parent:
        train(parent, 1)
    make_a_mistake(Run.open(parent.folder))
    with create(tmp_path / "opened"):
        pass
    make_a_mistake(Run.open(tmp_path / "opened"))
    foreign = create(tmp_path / "foreign")
    (foreign.folder / "notes.txt").touch()
    make_a_mistake(foreign)
    logged = create(tmp_path / "logged")
    logged.open_log(Every(1), Budget(1)).add({"loss": Last(1.0)})
    logged.log.write(Counters(updates=1))
    make_a_mistake(logged)
    for name in ("trained", "opened", "foreign", "logged"):
        assert result(tmp_path / name)["status"] == "failed"
        assert (tmp_path / name / "config.json").exists()
    with pytest.raises(ZeroDivisionError), create(tmp_path / "crashed"):
        raise ZeroDivisionError
    assert result(tmp_path / "crashed")["status"] == "failed"


def test_a_failed_run_says_how_far_it_came_and_goes_on_from_there(tmp_path: Path) -> None:
    def fail() -> None:
        with create(tmp_path) as run:
            train(run, 3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    failed = result(tmp_path)
    assert (failed["status"], failed["counters"]["updates"]) == ("failed", 3)
    assert failed["checkpoint"] == "checkpoints/0000000003"
    assert failed["metrics"] == {"loss": pytest.approx(1 / 3)}
    assert failed["best"]["value"] == 0.0
    with pytest.raises(UserError), Run.open(tmp_path):
        raise UserError("before anything was trained")
    assert result(tmp_path) == failed, "what is known of the run stays known"
    part = Part()
    with Run.open(tmp_path) as run:
        assert (run.experiment, run.seed, run.config) == ("example", 3, {"seed": 3, "rate": 0.5})
        assert not run.finished
        run.finish(train(run, 5, part=part), metrics={})
    assert part.weight.tolist() == [5.0, 5.0]
    done = result(tmp_path)
    assert (done["status"], done["counters"]["updates"], done["exact"]) == ("completed", 5, True)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 5


def test_rows_of_a_segment_that_left_no_checkpoint_are_void(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        log = run.open_log(Every(1), Budget(1))
        log.add({"loss": Last(7.0)})
        log.write(Counters(updates=1))
    with Run.open(tmp_path) as run:
        train(run, 2)
    assert [json.loads(line)["updates"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1, 2]


def test_a_finished_run_says_so_when_it_is_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with create(tmp_path) as run:
        run.finish(train(run, 1), metrics={})
    capsys.readouterr()
    with Run.open(tmp_path) as run:
        assert run.finished
    assert capsys.readouterr().err == f"run {tmp_path} is finished\n"


def test_what_is_found_out_after_the_end_is_kept_beside_the_result(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        run.finish(train(run, 1), metrics={"score": 1.0})
        ended = result(tmp_path)
        run.add_to_result("findings", [{"name": "trouble"}])
    assert result(tmp_path) == {**ended, "findings": [{"name": "trouble"}]}


def test_another_environment_is_named_and_makes_the_run_inexact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with create(tmp_path) as run:
        train(run, 1)
    saved = json.loads((tmp_path / "environment.json").read_text())
    saved["commit"] = "0123abc"
    saved["packages"] |= {"torch": "2.0.0", "gone": "1.0"}
    (tmp_path / "environment.json").write_text(json.dumps(saved))
    capsys.readouterr()
    with Run.open(tmp_path) as run:
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2
        assert re.search(r"commit 0123abc -> \w+", lines[0])
        assert f"gone 1.0 -> none, torch 2.0.0 -> {torch.__version__}" in lines[1]
        train(run, 2)
    (tmp_path / "environment.json").write_text(json.dumps(describe_environment()))
    with Run.open(tmp_path) as run:
        run.finish(train(run, 3), metrics={})
    assert result(tmp_path)["exact"] is False
    assert len(result(tmp_path)["inexact"]) == 1
    assert "torch 2.0.0" in result(tmp_path)["inexact"][0]


def test_the_names_of_the_runs_own_parts_are_reserved(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        run.open_log(Every(1), Budget(1))
        with pytest.raises(ValueError, match="log"):
            run.checkpoint({"log": Part()}, CheckpointConfig())


def test_a_mistake_before_a_child_was_trained_takes_its_copies_away_and_nothing_that_came_since(tmp_path: Path) -> None:
    with create(tmp_path / "parent") as parent:
        train(parent, 2)
    copied = [parent.folder / name for name in ("checkpoints", "metrics.jsonl", "timing.jsonl")]
    make_a_mistake(create(tmp_path / "refused", begin_with=copied, parent=str(parent.folder)))
    assert not (tmp_path / "refused").exists()
    restored = create(tmp_path / "restored", begin_with=copied)
    train(restored, 2)
    make_a_mistake(restored)
    assert not (tmp_path / "restored").exists(), "it came no further than its parent"
    trained = create(tmp_path / "trained", begin_with=copied)
    train(trained, 3)
    make_a_mistake(trained)
    assert find_checkpoint(tmp_path / "trained", "last").name == "0000000003"
    assert (parent.folder / "checkpoints").exists()


def test_a_checkpoint_says_which_part_its_state_does_not_fit(tmp_path: Path) -> None:
    with create(tmp_path / "run") as run:
        train(run, 1)
    other = Part()
    other.load_state_dict = lambda state: state["bias"]  # type: ignore[method-assign]
    with Run.open(tmp_path / "run") as again:
        assert again.loading is None
        with pytest.raises(KeyError):
            train(again, 2, part=other)
        assert again.loading == "agent"


@dataclass(frozen=True)
class Given(Config):
    kwargs: dict[str, Any] = field(default_factory=dict)


def test_a_config_that_its_json_would_not_give_back_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"kwargs\.reward = <class 'float'>: it takes"):
        Run.create("example", Given(kwargs={"reward": float}), folder=tmp_path / "run", tracker="none")
    assert not (tmp_path / "run").exists()
    given = {"shape": (2, 2), "table": {0: 1.0}}
    with Run.create("example", Given(kwargs=given), folder=tmp_path / "run", tracker="none"):
        read = config_from_tree(read_settings(tmp_path / "run")["config"], Given())
    assert read.kwargs == given
