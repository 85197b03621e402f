"""What a page is about: groups, and the figures of their curves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from reports.html.asked import learning_curves, speeds
from reports.html.figures import POINTS
from tests.support.compared import write_run
from tests.support.reported import asked_of, change, write_stopped


def log(folder: Path, rows: int, **values: float) -> None:
    """A log of so many rows, in which each value rises."""
    counted = [{"env_steps": n, "updates": n, "samples": n, "epochs": 0} for n in range(1, rows + 1)]
    told = [{**row, **{name: value * row["updates"] for name, value in values.items()}} for row in counted]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    timed = [{**row, "wall_time_s": 1.0 * row["updates"], "env_steps_per_second": 9.0} for row in counted]
    (folder / "timing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in timed))


def test_one_run_is_told_from_several_and_groups_keep_their_seeds(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / f"{horizon}-{seed}", 9.0 * seed, seed=seed, horizon=horizon)
               for horizon in (8, 16) for seed in (1, 2)]  # fmt: skip
    assert asked_of(folders[0]).one is not None
    asked = asked_of(*folders)
    assert asked.one is None
    assert {group.name: [facts.settings["seed"] for facts in group.runs] for group in asked.groups} == {
        "ppo_cartpole, agent.horizon 8": [1, 2],
        "ppo_cartpole, agent.horizon 16": [1, 2],
    }


def test_runs_that_are_not_finished_are_groups_of_their_own(tmp_path: Path) -> None:
    asked = asked_of(write_stopped(tmp_path / "a"), write_stopped(tmp_path / "b"))
    assert asked.comparison is None
    assert asked.names == ["a", "b"]
    assert [figure.title for figure in learning_curves(asked)] == ["evaluation/return_mean"]


def test_the_curves_that_matter_are_drawn_in_their_order_and_long_ones_are_thinned(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 9.0)
    log(folder, 1000, **{"policy/entropy": 1.0, "rollout/return_mean": 2.0, "optimizer/learning_rate": 3.0})
    figures = list(learning_curves(asked_of(folder)))
    assert [figure.title for figure in figures] == ["rollout/return_mean", "policy/entropy"]
    (line,) = figures[0].plot["data"]
    assert len(line["x"]) == POINTS
    assert (line["x"][0], line["x"][-1]) == (1.0, 1000.0)
    assert np.allclose(line["y"], 2 * np.array(line["x"])), "and is the same line"


def test_each_stage_has_figures_of_its_own(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 9.0)
    for stage in ("01-clone", "02-act"):
        log(write_run(folder / stage, 5.0), 20, **{"optimizer/loss": 1.0})
        change(folder / stage, "config.json", stage=stage)
    titles = [figure.title for figure in learning_curves(asked_of(folder))]
    assert titles == ["optimizer/loss, CartPole-v1, 01-clone", "optimizer/loss, CartPole-v1, 02-act"]


def test_the_speed_is_drawn_with_its_unit(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 9.0)
    log(folder, 20)
    assert [figure.title for figure in speeds(asked_of(folder))] == ["env steps per second"]
