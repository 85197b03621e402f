"""A package of small experiments that count, for the tests of the command line."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.__main__ import main

PACKAGE = "trials"

COUNTING = '''
from __future__ import annotations
import time
from dataclasses import dataclass
import torch
from training.run.checkpoint import CheckpointConfig
from training.claims import Claim
from training.core import Budget, Every
from training.errors import UserError, require
from training.metrics import Last
from training.fit import fit

@dataclass(frozen=True)
class Config:
    seed: int = 1
    env_steps: int = 40
    gain: float = 1.0
    """What a seed is worth."""
    pause_s: float = 0.0
    broken: str = "no"
    dataset: str = "numbers"

    def __post_init__(self) -> None:
        require(self.env_steps >= 1, "env_steps", self.env_steps, "at least 1")

    @property
    def until(self) -> Budget:
        return Budget(self.env_steps)

class Counting:
    """Stream and algorithm in one: every update counts to the next number."""

    def __init__(self, pause_s: float) -> None:
        self.count, self.pause_s = 0, pause_s

    def next(self, now):
        time.sleep(self.pause_s)
        return {"number": torch.tensor([self.count])}, now.advance(env_steps=5), {}

    def update(self, batch, now):
        self.count += 1
        return {"counting/count": Last(float(self.count))}, {}

    def learned(self, feedback): pass
    def state_dict(self): return {"count": self.count}
    def load_state_dict(self, state): self.count = state["count"]

def train(config, run):
    if config.broken == "crash" or config.broken == f"crash of {config.seed}":
        raise RuntimeError("the bridge fell")
    if config.broken == "mistake":
        raise UserError("the extra is missing: install it with pip")
    until = config.until
    counting = Counting(config.pause_s)
    log = run.open_log(every=Every(10), until=until)
    checkpoint = run.checkpoint({"counting": counting}, CheckpointConfig(every=Every(10)))
    now = fit(counting, counting, until=until, log=log, checkpoint=checkpoint)
    score = float("nan") if config.broken == "nan" else 100 + config.gain * config.seed
    run.finish(now, metrics={"score": score, "count": counting.count}, best={})
'''

DIVERGING = '''
"""Its loss overflows in the sixth update."""
import torch
from training.run.checkpoint import CheckpointConfig
from training.core import Budget, Every
from training.fit import fit
from training.optimizer import Loss, Optimizer
from training.optimizer import OptimizerConfig
from trials import counting

CLAIMS = ()
Config = counting.Config

class Diverging(counting.Counting):
    def __init__(self, until):
        super().__init__(0.0)
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.optimizer = Optimizer({"weight": self.weight}, OptimizerConfig(kind="sgd"), until=until)

    def update(self, batch, now):
        scale = 1e30 if now.updates == 5 else 1.0
        return self.optimizer.step(lambda _: Loss((self.weight * scale).square().sum(), 1, {}), batch, now), {}

def train(config, run):
    until = config.until
    diverging = Diverging(until)
    log = run.open_log(every=Every(10), until=until)
    checkpoint = run.checkpoint({"agent": diverging}, CheckpointConfig(every=Every(10)))
    fit(diverging, diverging, until=until, log=log, checkpoint=checkpoint)
'''

EXPERIMENTS = {
    "counting": '"""Counts to a budget.\n\nMore."""' + COUNTING + 'CLAIMS = (Claim("score", ">=", 150.0, seeds=3),)\n',
    "compared": '"""Counts better."""'
    + COUNTING.replace("gain: float = 1.0", "gain: float = 2.0")
    + 'CLAIMS = (Claim("score", ">=", 400.0), Claim("score", ">=", baseline="counting"))\n',
    "diverging": DIVERGING,
    "helper": '"""No experiment: it claims nothing."""\nraise ImportError\n',
    "__init__": "",
    "__main__": f"import sys\nfrom experiments.__main__ import main\nsys.exit(main(sys.argv[1:], {PACKAGE!r}))\n",
}


def command(line: str) -> int:
    return main(line.split(), PACKAGE)


def result_of(folder: str | Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(Path(folder, "result.json").read_text())
    return result


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    while not condition():
        assert process.poll() is None, "it ended before"
        time.sleep(0.02)


def train_on_data(folder: Path, *options: str) -> int:
    """A short run of what learns from data."""
    asked = ["train", "breast_cancer_mlp", "--run-dir", str(folder), "--threads", "1", "--tracker", "none"]
    return main([*asked, *options])


def train_for_verify(name: str, folder: str, seeds: range, options: str = "") -> None:
    """Seeds where `verify` looks for them."""
    for seed in seeds:
        line = f"train {name} --seed {seed} --tracker none --run-dir {folder}/seed-{seed} {options}"
        assert command(line) == 0
