"""Runs of this project as records: only those that came to their end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reports.comparison.records import LeftOut, Record
from reports.comparison.runs import find_named, find_runs, flattened, is_run, read_record
from tests.support.compared import METRIC, write_run


def test_a_run_has_its_scores_config_and_curves(tmp_path: Path) -> None:
    one = read_record(write_run(tmp_path / "run", 400.0, seed=7))
    assert isinstance(one, Record)
    assert (one.label, one.seed, one.budget, one.final[METRIC]) == ("ppo_cartpole", 7, 4000, 400.0)
    assert one.config["env.id"] == "CartPole-v1"
    curve = one.curves[METRIC]
    assert curve.steps.tolist() == [1024, 2048, 3072, 4096], "the final evaluation is the last point"
    assert curve.values.tolist() == [80.0, 160.0, 240.0, 400.0]
    np.testing.assert_array_equal(curve.seconds, [10, 20, 30, 50])
    assert "loss" not in one.curves, "no finite number of it was logged"
    assert not one.remarks


def test_a_run_that_learned_from_data_counts_updates(tmp_path: Path) -> None:
    counters = {"env_steps": 0, "updates": 4, "samples": 4096, "epochs": 1}
    one = read_record(write_run(tmp_path / "run", 400.0, counters=counters))
    assert isinstance(one, Record)
    assert one.unit == "updates"
    assert one.curves[METRIC].steps.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_did_not_end_is_left_out(tmp_path: Path, status: str) -> None:
    found = read_record(write_run(tmp_path / "run", 1.0, status=status))
    assert found == LeftOut(str(tmp_path / "run"), f"it is {status}")
    (tmp_path / "run" / "result.json").unlink()
    assert read_record(tmp_path / "run") == LeftOut(str(tmp_path / "run"), "it is unfinished")


@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl"])
def test_a_damaged_run_is_left_out(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path / "run", 1.0)
    (folder / name).write_text("{")
    found = read_record(folder)
    assert isinstance(found, LeftOut)
    assert "damaged" in found.why


def test_what_is_not_exact_or_goes_on_is_marked(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 1.0, inexact=["a worker was lost"])
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "parent": "runs/before"}))
    one = read_record(folder)
    assert isinstance(one, Record)
    assert one.remarks[0] == "not exact: a worker was lost"
    assert "goes on from runs/before" in one.remarks[1]


def test_runs_are_found_below_a_folder_and_by_the_name_of_their_experiment(tmp_path: Path) -> None:
    direct = write_run(tmp_path / "ppo_cartpole" / "first", 1.0)
    seed = write_run(tmp_path / "ppo_cartpole" / "verify" / "seed-101", 1.0)
    trial = write_run(tmp_path / "ppo_cartpole" / "sweep" / "trials" / "a", 1.0)
    assert find_runs(tmp_path) == sorted([direct, seed, trial])
    assert find_named("ppo_cartpole", tmp_path) == [direct, seed], "a trial of a sweep was chosen, not drawn"
    assert find_named("sac_pendulum", tmp_path) == []


def test_the_runs_of_an_algorithm_are_in_a_folder_for_each_environment(tmp_path: Path) -> None:
    environments = ("CartPole-v1", "Pendulum-v1")
    runs = [write_run(tmp_path / f"ppo-{env}" / "run", 1.0, experiment="ppo") for env in environments]
    write_run(tmp_path / "ppo-other" / "run", 1.0)
    assert find_named("ppo", tmp_path) == runs
    assert not is_run(tmp_path)


def test_a_tree_is_flattened_to_dotted_keys() -> None:
    assert dict(flattened({"a": {"b": 1, "c": {}}, "d": [1]})) == {"a.b": 1, "a.c": {}, "d": [1]}
