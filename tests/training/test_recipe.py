"""What every recipe shares: cadences that are counted, how it computes, and the loop in the run's folder."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from training.core import Batch, Budget, Counters, Every, Unit
from training.errors import UserError
from training.metrics import Last, Metrics
from training.optimizer import OptimizerConfig
from training.recipe import RunConfig, choose_compute, fit_run
from training.run.checkpoint import CheckpointConfig
from training.run.forecast import Outlook
from training.run.result import read_result
from training.run.run import Run
from training.state import State


@dataclass(frozen=True)
class OwnConfig:
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


@dataclass(frozen=True)
class Measuring:
    every: Every = Every(2, "updates")


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    algorithm_field: ClassVar[str] = "algorithm"
    unknown_unit: ClassVar[Unit] = "env_steps"
    algorithm: OwnConfig = OwnConfig()
    evaluation: Measuring = Measuring()
    log_every: Every = Every(1, "updates")
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(1, "updates"))
    device: Any = "cpu"

    @property
    def until(self) -> Budget:
        return Budget(6, "updates")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "seed = -1: it takes an integer of at least 0"),
        ({"threads": 0}, "threads = 0: it takes at least 1, or 'auto'"),
        ({"learners": 0}, "learners = 0: it takes at least 1"),
        ({"patience": 0}, "patience = 0: it takes at least 1, or None"),
        ({"learners": 2, "compile": True}, "compile = True: it takes False or 'auto' with learners = 2"),
        (
            {"log_every": Every(1, "env_steps")},
            "log_every.unit = 'env_steps': it takes 'updates', 'samples' or 'epochs'",
        ),
        (
            {"algorithm": OwnConfig(OptimizerConfig(compile=True))},
            "algorithm.optimizer.compile = True: it takes False; set the run's --compile",
        ),
        ({"algorithm": OwnConfig(OptimizerConfig("sgd")), "compile": True}, "compile = True: it takes kinds adam"),
    ],
)
def test_an_impossible_value_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        Config(**changes)
    assert str(error.value).startswith(message)


def test_how_to_compute_is_chosen_once_recorded_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = Config(compile=False, threads=1)
    with Run.create("example", config, folder=tmp_path / "run", tracker="none") as run:
        compute = choose_compute(config, run, nn.Linear(2, 2), gradient_steps=10**9, samples_per_step=1)
    assert (compute.device, compute.threads, compute.compile) == (torch.device("cpu"), 1, False)
    assert capsys.readouterr().err == "computing on cpu, 1 thread, not compiled\n"
    with Run.open(tmp_path / "run") as again:
        changed = Config(compile="auto", threads="auto")
        assert choose_compute(changed, again, nn.Linear(2, 2), gradient_steps=10**9, samples_per_step=1) == compute


@pytest.mark.parametrize(("optimizer", "compiles"), [(OptimizerConfig(), True), (OptimizerConfig("sgd"), False)])
def test_a_long_run_is_compiled_where_its_optimizers_can_be(
    optimizer: OptimizerConfig, compiles: bool, tmp_path: Path
) -> None:
    config = Config(algorithm=OwnConfig(optimizer))
    with Run.create("example", config, folder=tmp_path / "run", tracker="none") as run:
        compute = choose_compute(config, run, nn.Linear(2, 2), gradient_steps=10**6, samples_per_step=1)
    assert compute.compile == compiles


class Counting:
    """Stream and algorithm in one."""

    def __init__(self) -> None:
        self.count = 0

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        return {}, now.advance(samples=1), {}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        self.count += 1
        return {}, {}

    def learned(self, feedback: Batch) -> None: ...

    def state_dict(self) -> State:
        return {"count": self.count}

    def load_state_dict(self, state: State) -> None:
        self.count = state["count"]


class Scored:
    """An evaluation after every second update, whose scores are given."""

    every, score, outlook = Every(2, "updates"), "score", Outlook()

    def __init__(self, scores: list[float]) -> None:
        self._scores = scores

    def __call__(self, algorithm: Any) -> Metrics:
        return {"score": Last(self._scores[algorithm.count // 2 - 1])}


@pytest.mark.parametrize(
    ("scores", "patience", "updates"),
    [
        ([1, 2, 2, 1, 3, 3, 3], 2, 8),  # the same score is not better
        ([1, 2, 2, 1, 3, 3, 3], 3, 14),
        ([math.nan, math.nan, 9, 9, 9, 9, 9], 2, 4),
        ([1, 2, 3, 4, 5, 6, 7], 1, 14),
    ],
)
def test_it_stops_after_so_many_evaluations_without_a_new_best_however_often_it_is_killed(
    scores: list[float], patience: int, updates: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config: Any = Config(patience=patience, checkpoint=CheckpointConfig(every=Every(3, "updates")))
    evaluate: Any = Scored(scores)
    monkeypatch.setattr(Config, "until", Budget(14, "updates"))
    killed_at = iter([1, 3, 4, 5, 7, 8, 11, None])

    class Killed(Counting):
        def __init__(self, at: int | None) -> None:
            super().__init__()
            self._at = at

        def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
            if now.updates == self._at:
                raise KeyboardInterrupt
            return super().update(batch, now)

    with Run.create("example", config, folder=tmp_path / "run", tracker="none") as run:
        compute = choose_compute(config, run, nn.Linear(1, 1), gradient_steps=6, samples_per_step=1)
    for at in killed_at:
        with suppress(KeyboardInterrupt), Run.open(tmp_path / "run") as again:
            counting = Killed(at)
            now, _ = fit_run(config, again, compute, counting, counting, evaluate)
            again.finish(now, metrics={})
    result = read_result(tmp_path / "run")
    assert result["counters"]["updates"] == updates
    why = f"patience = {patience}: that many evaluations brought no new best score"
    assert result["stopped_early"] == (why if updates < 14 else None)


def test_the_loop_ends_with_the_budget_or_before_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    config: Any = Config()
    never: Any = type("Never", (), {"every": Every(99, "updates"), "score": "", "outlook": Outlook()})()
    with Run.create("example", config, folder=tmp_path / "run", tracker="none") as run:
        compute = choose_compute(config, run, nn.Linear(1, 1), gradient_steps=6, samples_per_step=1)
        counting = Counting()
        stop = lambda: "it is enough" if counting.count >= 4 else None  # noqa: E731
        now, checkpoint = fit_run(config, run, compute, counting, counting, never, stop)
        run.finish(now, metrics={})
    assert (now.updates, counting.count, checkpoint.best) == (4, 4, None)
    assert (run.result["status"], run.result["stopped_early"]) == ("completed", "it is enough")
    with Run.open(tmp_path / "run") as again:
        other = Counting()
        now, _ = fit_run(config, again, compute, other, other, never)
    assert (now.updates, other.count) == (6, 6)
    parts = {file.stem for file in (tmp_path / "run" / "checkpoints").rglob("*.json")}
    assert {"algorithm", "stream", "device"} <= parts
