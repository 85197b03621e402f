"""`record`: the policy of a run plays into a dataset, which says where it comes from."""

from __future__ import annotations

import json
from pathlib import Path

import minari
import pytest

from envs.episodes.datasets import read_dataset
from experiments.__main__ import main

pytestmark = pytest.mark.usefixtures("root")


def test_the_command_records_a_run(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    short = "--env-steps 1024 --tracker none --evaluation.final-episodes 10 --evaluation.every.count 512"
    assert main([*f"train ppo_cartpole {short} --seed 3 --run-dir run".split()]) == 0
    capsys.readouterr()
    assert main(["record", "run", "--episodes", "12", "--dataset", "cart/last-v0"]) == 0
    *table, where = capsys.readouterr().out.splitlines()
    measured = {line.split()[0]: float(line.split()[1]) for line in table}
    last = read_dataset("cart/last-v0")
    assert measured["dataset/episodes"] == len(last) == 12
    assert measured["dataset/return_mean"] == pytest.approx(last.returns.mean(), rel=1e-5)
    assert where == f"dataset: cart/last-v0 in {root}/cart/last-v0"

    metadata = minari.load_dataset("cart/last-v0").storage.metadata
    assert metadata["algorithm_name"] == "PPO"
    told = metadata["recorded"]
    assert {key: told[key] for key in ("experiment", "run_seed", "checkpoint", "mode", "seed")} == {
        "experiment": "ppo_cartpole",
        "run_seed": 3,
        "checkpoint": "checkpoints/0000000004",
        "mode": "greedy",
        "seed": 3,
    }
    assert told["run"] == json.loads(Path("run/config.json").read_text())["id"]
    assert {"commit", "dirty"} <= set(told)

    variants = {"best": "--checkpoint best", "drawn": "--stochastic", "other": "--seed 4", "again": ""}
    for name, options in variants.items():
        assert main(f"record run --episodes 12 --dataset cart/{name}-v0 {options}".split()) == 0
    hashes = {name: read_dataset(f"cart/{name}-v0").sha256 for name in variants}
    assert hashes["again"] == last.sha256
    assert len({hashes["drawn"], hashes["other"], last.sha256}) == 3
    capsys.readouterr()

    mistakes = {
        "record run --episodes 5": "dataset = '': it takes letters",
        "record run --episodes 5 --dataset cart/last-v0": "cart/last-v0 exists; remove it or take another name",
        "record run --episodes 0 --dataset cart/new-v0": "episodes = 0: it takes at least 1",
        "record run --seed -1 --dataset cart/new-v0": "seed = -1: it takes an integer of at least 0",
        "record nowhere --dataset cart/new-v0": "nowhere is not a run",
        "record": "record takes RUN first",
    }
    for asked, told_line in mistakes.items():
        assert main(asked.split()) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told_line in line
