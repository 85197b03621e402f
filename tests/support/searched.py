"""A package with one small experiment to search: `hill`, whose score is known for every configuration."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

PACKAGE = "searched"
HILL = '''"""Climbs a hill: each update goes up by the rate times pace * (1 - pace)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from training.run.checkpoint import CheckpointConfig
from training.claims import Claim
from training.core import Budget, Every
from training.errors import UserError, require
from training.fit import fit
from training.metrics import Last
from training.optimizer import OptimizerConfig
from training.search_space import Choice, LogUniform, Space, Uniform


@dataclass(frozen=True)
class Measured:
    every: Every = Every(20)


@dataclass(frozen=True)
class Gait:
    pace: float = 0.1
    shoes: tuple[str, ...] = ("old",)
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=0.1)

    def __post_init__(self) -> None:
        require(0 < self.pace < 1, "pace", self.pace, "a number in (0, 1)")


@dataclass(frozen=True)
class Config:
    seed: int = 1
    env_steps: int = 40
    agent: Gait = Gait()
    evaluation: Measured = Measured()
    checkpoint: CheckpointConfig = CheckpointConfig()
    pause_s: float = 0.0
    learners: int = 1

    @property
    def until(self) -> Budget:
        return Budget(self.env_steps)


SPACE: Space = {
    "agent.pace": Uniform(0.05, 0.95),
    "agent.optimizer.learning_rate": LogUniform(0.01, 1.0),
    "agent.shoes": Choice((("old",), ("new", "red"))),
}
CLAIMS = (Claim("evaluation/height", ">=", 0.0),)


class Climber:
    """Stream, algorithm and evaluation in one."""

    score = "evaluation/height"

    def __init__(self, config: Config) -> None:
        self.height, self.config, self.every = 0.0, config, config.evaluation.every
        self.until = config.until

    def next(self, now):
        time.sleep(self.config.pause_s)
        return {}, now.advance(env_steps=5), {}

    def update(self, batch, now):
        if self.config.agent.shoes == ("broken",):
            raise UserError("agent.shoes: they are broken")
        agent = self.config.agent
        rate = agent.optimizer.learning_rate * agent.optimizer.schedule.multiplier(now, self.until)
        self.height += rate * agent.pace * (1 - agent.pace)
        return {}, {}

    def __call__(self, algorithm):
        return {self.score: Last(self.height)}

    def learned(self, feedback): pass
    def state_dict(self): return {"height": self.height}
    def load_state_dict(self, state): self.height = state["height"]


def train(config: Config, run) -> None:
    climber = Climber(config)
    log = run.open_log(every=Every(10), until=climber.until)
    checkpoint = run.checkpoint({"climber": climber}, config.checkpoint)
    now = fit(climber, climber, until=climber.until, log=log, evaluate=climber, checkpoint=checkpoint)
    own = 1 + 1e-5 * (config.seed in range(102, 200)) * config.seed  # of those that verify trains, the others differ
    run.finish(now, metrics={climber.score: climber.height * own})
'''
MAIN = f"import sys\nfrom experiments.__main__ import main\nsys.exit(main(sys.argv[1:], {PACKAGE!r}))\n"


def write_package(folder: Path) -> None:
    """Writes the package into the folder."""
    (folder / PACKAGE).mkdir()
    for name, text in {"hill": HILL, "__init__": "", "__main__": MAIN}.items():
        (folder / PACKAGE / f"{name}.py").write_text(text)


@contextmanager
def package_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Inside, the folder is the current one, with the package in it, also for processes that are started."""
    write_package(folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def result_of(folder: Path) -> dict[str, Any]:
    """The contents of the `result.json` of a run."""
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result
