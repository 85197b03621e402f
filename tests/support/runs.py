"""The smallest run there is, as `fit` trains one, and scripts in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.support import ROOT
from training import interruption
from training.core import Budget, Counters, Every
from training.metrics import Last
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run
from training.state import State


@dataclass(frozen=True)
class Config:
    seed: int = 3
    rate: float = 0.5


class Part:
    def __init__(self) -> None:
        self.weight = torch.zeros(2)

    def state_dict(self) -> State:
        return {"weight": self.weight}

    def load_state_dict(self, state: State) -> None:
        self.weight = state["weight"].clone()


def create(folder: Path, **options: Any) -> Run:
    return Run.create("example", Config(), folder=folder, tracker="none", **options)


def train(run: Run, updates: int, *, part: Part | None = None, update_s: float = 0.0) -> Counters:
    """What `fit` does with a run."""
    part = part or Part()
    log = run.open_log(Every(1, "updates"), Budget(updates, "updates"))
    checkpoint = run.checkpoint({"agent": part}, CheckpointConfig(Every(1, "updates"), keep_last=2))
    now = checkpoint.restore()
    while now.updates < updates:
        time.sleep(update_s)
        part.weight += 1
        now = now.advance(env_steps=10, updates=1)
        log.progress(now)
        log.add({"loss": Last(1.0 / now.updates)})
        log.write(now)
        checkpoint.score(float(-abs(now.updates - 2)), now)
        checkpoint.save(now)
        interruption.check()
    return now


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


@contextmanager
def script(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, which is gone after the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
