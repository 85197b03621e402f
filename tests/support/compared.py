"""Runs as a comparison reads them: finished folders that nothing trained, and records of scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reports.comparison.comparing import compare
from reports.comparison.computed import Comparison
from reports.comparison.groups import group
from reports.comparison.records import Curve, Record

METRIC = "evaluation/return_mean"
SCORES = {"one": [480.0, 500.0, 420.0, 470.0, 455.0], "two": [300.0, 350.0, 410.0, 260.0, 333.0]}


def curve(end: float, *, points: int = 5, every: float = 1000.0, second: float = 10.0) -> Curve:
    """A straight line up to `end`."""
    steps = every * np.arange(1, points + 1)
    return Curve(steps, second * np.arange(1, points + 1), end * np.arange(1, points + 1) / points)


def record(label: str, score: float, seed: int | None, *, env: str = "CartPole-v1", **more: Any) -> Record:
    values: dict[str, Any] = {
        "config": {"experiment": label, "env.id": env, "env.time_limit": None, "agent.horizon": 32, "seed": seed},
        "curves": {METRIC: curve(score)},
        "final": {METRIC: score},
        "best": {METRIC: score + 1},
        "budget": 5000,
        "source_hash": "a",
        "hardware": "here",
    }
    return Record(source=f"{label}/{env}/{seed}", label=label, seed=seed, **{**values, **more})


def comparison(scores: Mapping[str, Mapping[str, Sequence[float]]], **how: Any) -> Comparison:
    """Of scores by environment and group."""
    records = [
        record(name, score, seed, env=task)
        for task, groups in scores.items()
        for name, several in groups.items()
        for seed, score in enumerate(several, start=1)
    ]
    return compare(group(records, METRIC, "final"), metric=METRIC, **how)


def write_run(
    folder: Path, score: float, *, experiment: str = "ppo_cartpole", seed: int = 1, horizon: int = 32, **changes: Any
) -> Path:
    """A finished run, as its folder has it."""
    folder.mkdir(parents=True)
    config = {"seed": seed, "threads": 1, "env": {"id": "CartPole-v1", "time_limit": None}, "env_steps": 4000}
    config |= {"agent": {"horizon": horizon}, "evaluation": {"final_episodes": 100, "num_envs": 10}}
    settings = {
        "experiment": experiment,
        "id": folder.name,
        "seed": seed,
        "tracker": "none",
        "parent": None,
        "config": config,
        "config_hash": "c",
        "source_hash": "s",
    }
    counters = {"env_steps": 4096, "updates": 4, "samples": 4096, "epochs": 0}
    result = {
        "experiment": experiment,
        "status": "completed",
        "exact": True,
        "inexact": [],
        "seed": seed,
        "counters": counters,
        "metrics": {METRIC: score},
        "best": {METRIC: score + 1},
        "claims": [],
        "wall_time_s": 50.0,
        "training_time_s": 45.0,
        "parent": None,
        **changes,
    }
    machine = {"platform": "Linux", "cpus": 2, "cpu_capability": "AVX2", "gpu": None, "commit": "c", "packages": {}}
    rows = [{"env_steps": 1024 * n, "updates": n, "samples": 1024 * n, "epochs": 0} for n in range(1, 5)]
    metrics = [{**row, METRIC: score * row["updates"] / 5} for row in rows[:3]] + [{**rows[3], "loss": "nan"}]
    timing = [{**row, "wall_time_s": 10.0 * row["updates"]} for row in rows]
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "environment.json").write_text(json.dumps(machine))
    (folder / "result.json").write_text(json.dumps(result))
    for name, several in (("metrics.jsonl", metrics), ("timing.jsonl", timing)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in several))
    return folder
