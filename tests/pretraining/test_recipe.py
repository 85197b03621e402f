"""Training on data from begin to end: budgets, early stopping with the best checkpoint, and resuming."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pretraining.recipe import DataRunConfig, HeldOutConfig, train
from training import interruption
from training.core import Batch, Budget, Counters, Every
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, Splits, split
from training.errors import UserError
from training.metrics import Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.checkpoint import CheckpointConfig, read_state
from training.run.run import Run
from training.state import State, load_states, states_of


@dataclass(frozen=True)
class LineConfig:
    optimizer: OptimizerConfig = OptimizerConfig("sgd", learning_rate=0.05)


class Line:
    """Fits a line; its scores are those that it is told to have, one for each measurement of the validation split."""

    score = "told"

    def __init__(self, network: nn.Linear, config: LineConfig, until: Budget, scores: Mapping[int, float]) -> None:
        self.network, self.scores, self.updates = network, scores, 0
        self.optimizer = Optimizer(dict(network.named_parameters()), config.optimizer, until=until)
        self.parts = {"network": network, "optimizer": self.optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        self.updates = now.updates + 1
        return self.optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        error = (self.network(batch["input"]).squeeze(-1) - batch["target"]).square()
        return Loss(error.sum(), len(error), {})

    def measure(self, batches: Iterable[Batch], part: str) -> dict[str, float]:
        with torch.no_grad():
            losses = [self._loss(batch) for batch in batches]
        error = sum(float(loss.sum) for loss in losses) / sum(int(loss.count) for loss in losses)
        return {"error": error, "told": self.scores.get(self.updates, -error)}

    def state_dict(self) -> State:
        return {**states_of(self.parts), "updates": self.updates}

    def load_state_dict(self, state: State) -> None:
        load_states(self.parts, state)
        self.updates = state["updates"]


CONFIG = DataRunConfig(algorithm=LineConfig(), epochs=6, minibatch_size=8, threads=1, log_every=Every(4, "updates"))


def data(slope: float = 2.0) -> Splits:
    x = np.random.default_rng(0).normal(size=(100, 1)).astype(np.float32)
    return split(of_arrays(x, slope * x[:, 0], "a line"), SplitConfig(), seed=1)


def line(
    folder: Path,
    config: DataRunConfig = CONFIG,
    *,
    splits: Splits | None = None,
    scores: Mapping[int, float] | None = None,
) -> Run:
    network = nn.Linear(1, 1)
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    made = (folder / "config.json").exists()
    with (
        interruption.catch(),
        Run.open(folder) if made else Run.create("line", config, folder=folder, tracker="none") as run,
    ):

        def make(network: nn.Linear, own: Any, until: Budget) -> Line:
            return Line(network, own, until, scores or {})

        train(config, run, splits or data(), network, make)
    return run


def test_a_run_spends_its_epochs_and_measures_what_it_did_not_learn_from(tmp_path: Path) -> None:
    result = line(tmp_path / "run").result
    assert result["counters"] == {"env_steps": 0, "updates": 6 * 9, "samples": 6 * 70, "epochs": 6}
    assert result["exact"]
    assert result["metrics"].keys() == {"validation/error", "validation/told", "test/error", "test/told"}
    assert result["metrics"]["test/error"] < 0.01
    assert result["best"]["validation/told"] >= result["metrics"]["validation/told"]


def test_a_budget_may_count_steps(tmp_path: Path) -> None:
    result = line(tmp_path / "run", replace(CONFIG, epochs=None, steps=12)).result
    assert result["counters"] == {"env_steps": 0, "updates": 12, "samples": 70 + 3 * 8, "epochs": 1}


def test_it_stops_when_the_best_score_is_old_and_measures_that_one(tmp_path: Path) -> None:
    scores = {9: 1.0, 18: 3.0, 27: 2.0, 36: 2.5, 45: 9.0}  # the last one comes too late
    result = line(tmp_path / "run", replace(CONFIG, patience=2), scores=scores).result
    assert (result["counters"]["epochs"], result["metrics"]["test/told"]) == (4, 2.5)
    assert result["best"]["test/told"] == 3.0
    assert result["best"]["test/error"] > result["metrics"]["test/error"]


def test_it_stops_by_the_clock_and_says_so(tmp_path: Path) -> None:
    result = line(tmp_path / "run", replace(CONFIG, epochs=1_000_000, max_seconds=0.5)).result
    assert 0 < result["counters"]["epochs"] < 1_000_000
    assert result["inexact"] == ["its training was ended by the clock"]


@pytest.mark.parametrize("stopped_at", [4, 9, 17, 18, 30])  # also in the last batch of an epoch, and before it
def test_it_goes_on_to_the_bit_and_stops_where_it_would_have(
    stopped_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, patience=2, evaluation=HeldOutConfig(Every(1, "epochs")))
    config = replace(config, checkpoint=CheckpointConfig(every=Every(7, "updates")))
    scores = {9: 1.0, 18: 3.0, 27: 2.0, 36: 2.5, 45: 9.0}
    whole = line(tmp_path / "whole", config, scores=scores)
    update = Line.update

    def stops(self: Line, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        if now.updates == stopped_at:
            raise KeyboardInterrupt
        return update(self, batch, now)

    with monkeypatch.context() as patch:
        patch.setattr(Line, "update", stops)
        with pytest.raises(KeyboardInterrupt):
            line(tmp_path / "run", config, scores=scores)
    again = line(tmp_path / "run", config, scores=scores)
    for key in ("counters", "metrics", "best", "exact"):
        assert again.result[key] == whole.result[key]
    assert (again.folder / "metrics.jsonl").read_bytes() == (whole.folder / "metrics.jsonl").read_bytes()
    weights = [read_state(run.folder / run.result["checkpoint"], "algorithm")["network"] for run in (again, whole)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[1])


def test_it_goes_on_with_the_same_data_only(tmp_path: Path) -> None:
    line(tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    with pytest.raises(UserError, match=r"a line is other data than .* began with"):
        line(tmp_path / "run", splits=data(slope=3.0))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"epochs": None}, "steps = None: it takes"),
        ({"steps": 5}, "steps = 5: it takes None where epochs is set"),
        ({"patience": 0}, "patience = 0: it takes at least 1"),
        ({"max_seconds": 0.0}, "max_seconds = 0.0: it takes above 0"),
        ({"minibatch_size": 0}, "minibatch_size = 0: it takes at least 1"),
        (
            {"log_every": Every(1, "env_steps")},
            "log_every.unit = 'env_steps': it takes 'updates', 'samples' or 'epochs'",
        ),
        (
            {"algorithm": LineConfig(OptimizerConfig(compile=True))},
            "algorithm.optimizer.compile = True: it takes False; set the run's --compile",
        ),
    ],
)
def test_impossible_settings_are_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        replace(CONFIG, **changes)
