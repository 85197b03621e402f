"""The sections: what the tables hold."""

from __future__ import annotations

import json
from pathlib import Path

from reports.html import sections
from reports.html.asked import Again
from tests.support.compared import write_run
from tests.support.reported import asked_of, change, write_stopped


def test_trouble_is_told_once_with_the_runs_that_have_it(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / str(seed), 100.0, seed=seed) for seed in (1, 2)]
    for folder in folders:
        counted = [{"env_steps": n, "updates": n, "samples": n, "epochs": 0, "policy/kl": 9.0} for n in range(1, 40)]
        told = [{**row, "policy/clipped_fraction": 0.9} for row in counted]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    (trouble,) = sections.troubles(asked_of(*folders))
    assert trouble.name == "policy moves too far"
    assert [line.partition(":")[0] for line in trouble.seen] == ["ppo_cartpole, seed 1", "ppo_cartpole, seed 2"]


def test_commands_of_seeds_are_one_where_nothing_else_differs(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / str(seed), 100.0, seed=seed) for seed in (1, 2)]
    same = {folder: Again(commands=[f"train --seed={folder.name} --x=1"]) for folder in folders}
    assert sections.commands_of(asked_of(*folders, again=same)) == [("ppo_cartpole", ["train --x=1 --seeds 1,2"])]
    other = {folder: Again(commands=[f"train --seed={folder.name} --x={folder.name}"]) for folder in folders}
    assert sections.commands_of(asked_of(*folders, again=other)) == [
        ("ppo_cartpole", ["train --seed=1 --x=1", "train --seed=2 --x=2"])
    ]


def test_what_comes_next_depends_on_how_it_ended(tmp_path: Path) -> None:
    done = asked_of(write_run(tmp_path / "done", 100.0)).runs[0]
    assert [line.split()[3] for line in sections.next_commands(done, has_policy=True)] == [
        *("evaluate", "play", "diagnose", "compare")
    ]
    stopped = asked_of(write_stopped(tmp_path / "stopped")).runs[0]
    assert [line.split()[3] for line in sections.next_commands(stopped, has_policy=False)] == [
        *("resume", "diagnose", "compare")
    ]


def test_lineage_and_costs(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 100.0)
    change(folder, "config.json", parent=str(tmp_path / "gone"))
    asked = asked_of(folder)
    assert asked.one is not None
    assert sections.lineage(asked.one).rows == [
        ["ancestor", str(tmp_path / "gone"), "", "", ""],
        ["this run", str(folder), "completed", "4,096 env steps, 4 updates, 4,096 samples", "0:50"],
    ]
    assert sections.costs(asked).rows == [["ppo_cartpole, seed 1", "0:50", "0:45", "0:05", "", "", "", ""]]


def test_environments_that_are_the_same_are_told_once_and_why_runs_are_not_exact(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / str(seed), 100.0, seed=seed) for seed in (1, 2, 3)]
    change(folders[2], "environment.json", gpu="an H200")
    asked = asked_of(*folders)
    assert [who for who, *_ in sections.environments(asked)] == [
        "ppo_cartpole, seed 1, ppo_cartpole, seed 2",
        "ppo_cartpole, seed 3",
    ]
    assert sections.exactness(asked)[0].startswith("Exact: ")
    change(folders[0], "result.json", inexact=["it lost a worker"])
    assert sections.exactness(asked_of(*folders)) == ["ppo_cartpole, seed 1: not exact: it lost a worker"]


def test_every_metric_is_told_with_its_course(tmp_path: Path) -> None:
    one = asked_of(write_run(tmp_path / "run", 100.0)).runs[0]
    assert sections.logged(one).rows == [["evaluation/return_mean", "20", "100", "20", "100"]]
    assert sections.measured(one).rows == [["evaluation/return_mean", "100", "101"]]
    assert ["agent.horizon", "32"] in sections.config(one).rows
