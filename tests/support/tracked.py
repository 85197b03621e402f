"""A run whose rows are copied, and what W&B's own reader finds in the copy."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from training.core import Budget, Counters, Every
from training.metrics import Last
from training.run.clock import Clock
from training.run.logger import Logger
from training.run.tracker import Tracker
from training.state import State

CONFIG = {
    "experiment": "ppo_cartpole",
    "id": "seed-1",
    "seed": 1,
    "tracker": "auto",
    "config_hash": "",
    "source_hash": "",
    "parent": "runs/x/first",
    "config": {"agent": {"learning_rate": 3e-4}},
}
RESULT = {
    "status": "completed",
    "exact": False,
    "inexact": ["a worker was lost"],
    "metrics": {"evaluation/return_mean": 489.5},
    "best": {"evaluation/return_mean": 500.0},
}


class Learned:
    """What a checkpoint of an algorithm has in it."""

    def state_dict(self) -> State:
        weights = {"0.weight": torch.tensor([1.0, 2.0, float("nan")])}
        return {"policy": {"weights": weights}, "moments": {"0.weight": {"exp_avg": torch.ones(4), "step": 3}}}

    def load_state_dict(self, state: State) -> None: ...


def make_run(folder: Path, asked: str, finish_timeout_s: float = 60, **settings: Any) -> tuple[Logger, Tracker]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | settings))
    names = {"group": (CONFIG | settings)["experiment"], "run_id": "seed-1", "parent": "runs/x/first"}
    tracker = Tracker(folder, asked, **names, finish_timeout_s=finish_timeout_s)
    logger = Logger(folder, every=Every(10), until=Budget(1000), tracker=tracker, console=None, clock=Clock())
    return logger, tracker


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of what is started here grows beyond so many bytes: it is refused as by a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def end(folder: Path, tracker: Tracker, **more: Any) -> None:
    (folder / "result.json").write_text(json.dumps(RESULT | more))
    tracker.finish()


def train(logger: Logger, updates: range) -> None:
    for update in updates:
        logger.add({"loss": Last(1 / update), "broken": Last(float("nan"))})
        logger.write(Counters(env_steps=10 * update, updates=update))


def offline_runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*"))


def read_back(offline_run: Path) -> dict[str, Any]:
    """What wandb's own reader finds in an offline run."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(offline_run)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    records = [json.loads(line) for line in output.splitlines()]
    summary: dict[str, Any] = {}
    for record in records:
        summary |= record.get("summary", {}).get("update", {})
    return {
        "run": next(record["run"] for record in records if record["type"] == "run"),
        "history": [record["history"]["item"] for record in records if record["type"] == "history"],
        "axes": [record["metric"].get("step_metric") for record in records if record["type"] == "metric"],
        "summary": summary,
        "artifacts": [record["artifact"] for record in records if record["type"] == "artifact"],
        "exit_code": [record["exit"].get("exit_code", 0) for record in records if record["type"] == "exit"],
    }
