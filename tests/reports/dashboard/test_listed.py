"""Which runs the dashboard lists, and which folders it reads."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from reports.dashboard.listed import Asked, folder_of, listed
from tests.support import runs
from tests.support.compared import write_run

FINDINGS = [{"stage": "", "name": "policy stays random"}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    write_run(root / "ppo_cartpole/20260101T000000Z-seed1-aaaa", 100.0)
    write_run(root / "ppo_cartpole/20260102T000000Z-seed2-bbbb", 50.0, seed=2, findings=FINDINGS)
    write_run(root / "sac/20260103T000000Z-seed3-cccc", 75.0, experiment="sac", seed=3, status="failed")
    return root


def seeds(folder: Path, **asked: object) -> list[int]:
    return [one.state.seed for one in listed(folder, Asked(**asked))]  # type: ignore[arg-type]


def test_runs_are_in_the_order_and_of_the_kind_that_is_asked_for(folder: Path) -> None:
    assert seeds(folder) == [3, 2, 1]
    assert seeds(folder, rising=True) == [1, 2, 3]
    assert seeds(folder, sort="score") == [1, 3, 2]
    assert seeds(folder, sort="findings")[0] == 2
    assert seeds(folder, status="failed") == [3]
    assert seeds(folder, text="PPO_cart") == [2, 1]
    assert seeds(folder, text="cartpole-v1", sort="seed", rising=True) == [1, 2, 3]
    assert seeds(folder, text="nothing of that name") == []


def test_what_is_not_known_comes_last_in_either_order(folder: Path) -> None:
    result = folder / "ppo_cartpole/20260101T000000Z-seed1-aaaa/result.json"
    result.write_text(json.dumps({**json.loads(result.read_text()), "metrics": {}}))
    assert seeds(folder, sort="score")[-1] == 1
    assert seeds(folder, sort="score", rising=True)[-1] == 1


def test_a_row_says_how_the_run_stands(folder: Path) -> None:
    row = next(one for one in listed(folder, Asked()) if one.state.seed == 2)
    assert row.name == "ppo_cartpole/20260102T000000Z-seed2-bbbb"
    assert (row.env, row.state.status, row.state.score) == ("CartPole-v1", "completed", 50.0)
    assert row.findings == ("policy stays random",)
    assert row.fraction == 1.0
    with runs.create(folder / "example/one"):
        assert next(one for one in listed(folder, Asked()) if one.state.seed == 3).state.status == "running"


def test_a_run_is_found_by_its_name_alone(folder: Path) -> None:
    name = "ppo_cartpole/20260101T000000Z-seed1-aaaa"
    assert folder_of(name, folder) == folder / name
    for other in (
        "", ".", "..", "ppo_cartpole", f"{name}/", f"/{name}", f"{name}/checkpoints", f"../runs/{name}", f"./{name}",
        f"ppo_cartpole/../{name}", "ppo_cartpole/..", str(folder / name), "no/such", "a\0b", f"{'x' * 5000}",
    ):  # fmt: skip
        assert folder_of(other, folder) is None, other


def test_what_leads_out_of_the_folder_is_no_run(folder: Path, tmp_path: Path) -> None:
    outside = write_run(tmp_path / "elsewhere/secret", 1.0)
    (folder / "sac/link").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent)
    inside = folder / "sac/20260104T000000Z-seed4-dddd"
    shutil.copytree(outside, inside)
    assert folder_of("sac/20260104T000000Z-seed4-dddd", folder) is not None
    os.replace(inside / "metrics.jsonl", tmp_path / "metrics.jsonl")
    (inside / "metrics.jsonl").symlink_to(tmp_path / "metrics.jsonl")
    for name in ("sac/link", "linked/secret", "sac/20260104T000000Z-seed4-dddd"):
        assert folder_of(name, folder) is None
    assert len(listed(folder, Asked())) == 3
