"""Continual learning: each term by hand, what a task leaves to the next one, and runs that go on to the bit."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from pretraining.predictor import Predictor, PredictorConfig
from regimes import continual
from regimes.continual import Continual, ContinualConfig, ContinualRunConfig
from training.core import Budget, Counters, Every
from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, Splits, split
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run
from training.seeding import generator

RESUMED = {"digits_continual": ["--epochs", "2"]}
TASKS = ((0, 1), (2, 3))
SHAPE = PredictorConfig(network=NetworkConfig(hidden=(8,), activation="tanh"))
ALL = {"anchor": 5.0, "distillation": 1.0, "replayed": 8, "logits": 0.5, "memory": 20}


def four_clouds() -> Dataset:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 4, 200)
    x = 4 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])[target] + rng.normal(size=(200, 2))
    return of_arrays(x.astype(np.float32), target, "four clouds", columns=("east", "north"))


WHOLE = Splits(*(continual.with_tasks(part, TASKS) for part in split(four_clouds(), SplitConfig("stratified"), seed=1)))
SPLITS = continual.by_task(WHOLE)


def an_algorithm(task: int = 0, seed: int = 1, **config: float) -> Continual:
    model = Predictor(WHOLE.train.inputs, WHOLE.train.target, SHAPE, generator(seed, "weights"))
    model.fit_preprocessing(SPLITS[0].train)
    own = ContinualConfig(optimizer=OptimizerConfig("sgd", learning_rate=0.1), **config)  # type: ignore[arg-type]
    return Continual(model, own, TASKS, task=task, until=Budget(10, "updates"), seed=seed)


def samples(task: int, count: int = 12) -> dict[str, torch.Tensor]:
    return SPLITS[task].train.gather(torch.arange(count))


def learned(**config: float) -> Continual:
    """One that has learned the first task a little."""
    algorithm = an_algorithm(**config)
    for _ in range(5):
        algorithm.update(samples(0), Counters())
    return algorithm


def next_task(before: Continual, **config: float) -> Continual:
    algorithm = an_algorithm(1, seed=2, **config)
    algorithm.go_on_from(before.state_dict(), SPLITS[0].train)
    return algorithm


def test_a_task_is_answered_with_its_own_classes_and_no_other_output_moves() -> None:
    algorithm = an_algorithm()
    last = list(dict(algorithm.model.named_parameters()))[-1]  # the bias of the outputs
    before = dict(algorithm.model.named_parameters())[last].detach().clone()
    algorithm.update(samples(0), Counters())
    moved = dict(algorithm.model.named_parameters())[last].detach() != before
    assert moved.tolist() == [True, True, False, False]
    batch = samples(1)
    found = algorithm.measure([batch], "test")
    own = torch.log_softmax(algorithm.model(batch)[:, 2:].double(), -1)
    assert found["accuracy"] == float((own.argmax(-1) + 2 == batch["target"]).double().mean())
    assert found["log_likelihood"] == pytest.approx(
        float(own.gather(1, batch["target"].unsqueeze(1) - 2).mean().detach())
    )


def test_where_the_task_is_not_told_all_classes_so_far_are_answers() -> None:
    first = an_algorithm(scenario="class")  # type: ignore[arg-type]
    assert first.measure([samples(1)], "test")["accuracy"] == 0.0, "a class that nobody has seen yet"
    second = an_algorithm(1, scenario="class")  # type: ignore[arg-type]
    batch = samples(0)
    said = second.model(batch).argmax(-1)
    assert second.measure([batch], "test")["accuracy"] == float((said == batch["target"]).double().mean())


def test_the_fisher_information_is_that_of_the_networks_own_answers() -> None:
    """Of the output's biases it is p (1 - p) for two classes, a mean over the samples; 0 where nothing was learned."""
    before = learned(anchor=1.0)
    algorithm = next_task(before, anchor=1.0, fisher_samples=10_000)
    rows = SPLITS[0].train.gather(torch.arange(len(SPLITS[0].train)))
    p = torch.softmax(before.model(rows)[:, :2], -1)[:, 0]
    last = list(algorithm._anchor.importance)[-1]
    found = algorithm._anchor.importance[last]
    assert found[2:].tolist() == [0.0, 0.0], "the units of the next task are free"
    assert float(found[0]) == pytest.approx(float((p * (1 - p)).mean().detach()), rel=0.35)  # answers are drawn
    for name, value in algorithm.model.named_parameters():
        assert torch.equal(algorithm._anchor.reference[name], value.detach())


def test_the_importance_of_all_tasks_adds_up() -> None:
    second = next_task(learned(anchor=1.0), anchor=1.0)
    second.update(samples(1), Counters())
    third = an_algorithm(1, seed=3, anchor=1.0)
    third.go_on_from(second.state_dict(), SPLITS[1].train)
    for name, value in second._anchor.importance.items():
        assert torch.all(third._anchor.importance[name] >= value)
    assert any(torch.any(third._anchor.importance[name] > value) for name, value in second._anchor.importance.items())


def test_the_old_networks_answers_are_held_on_to() -> None:
    before = learned(distillation=2.0)
    algorithm = next_task(before, distillation=2.0)
    algorithm.update(samples(1), Counters())
    batch = samples(1)
    wanted = torch.softmax(before.model(batch)[:, :2] / 2, -1)
    own = F.log_softmax(algorithm.model(batch)[:, :2] / 2, -1)
    by_hand = 2.0 * -(wanted * own).sum(-1).mean() + F.cross_entropy(algorithm.model(batch)[:, 2:], batch["target"] - 2)
    loss = algorithm._loss(batch)
    assert float(loss.sum / loss.count) == pytest.approx(float(by_hand), abs=1e-5)


def test_the_memory_has_the_first_task_with_its_logits_and_is_learned_from() -> None:
    before = learned(replayed=6, logits=0.5, memory=20)
    assert len(before._memory) == 0
    algorithm = next_task(before, replayed=6, logits=0.5, memory=20)
    kept = algorithm._memory.data
    assert kept["task"].tolist() == [0] * 20
    with torch.no_grad():
        torch.testing.assert_close(kept["logits"], before.model(kept))
    algorithm.update(samples(1), Counters())
    batch, again = samples(1), algorithm._memory.sample(6)
    said = algorithm.model(again)
    by_hand = (
        F.cross_entropy(algorithm.model(batch)[:, 2:], batch["target"] - 2)
        + F.cross_entropy(said[:, :2], again["target"])
        + 0.5 * (said - again["logits"]).square().mean()
    )
    loss = algorithm._loss(batch | {f"memory/{key}": value for key, value in again.items()})
    assert float(loss.sum / loss.count) == pytest.approx(float(by_hand), abs=1e-5)


def a_config(**algorithm: float) -> ContinualRunConfig:
    return ContinualRunConfig(
        epochs=4,
        minibatch_size=16,
        threads=1,
        model=SHAPE,
        algorithm=ContinualConfig(optimizer=OptimizerConfig(learning_rate=3e-2), **algorithm),  # type: ignore[arg-type]
        checkpoint=CheckpointConfig(every=Every(3, "updates")),
    )


def trained(folder: Path, config: ContinualRunConfig) -> np.ndarray:
    run = Run.open(folder) if folder.exists() else Run.create("made_up", config, folder=folder, tracker="none")
    with run:
        return continual.train(config, run, "all", SPLITS, TASKS)


def test_a_run_that_is_killed_in_the_middle_of_the_second_task_goes_on_to_the_bit(tmp_path: Path) -> None:
    config = a_config(**ALL)
    whole = trained(tmp_path / "whole", config)
    child = os.fork()
    if child == 0:
        try:
            real = Continual.update

            def dies(self: Continual, batch: dict[str, torch.Tensor], now: Counters) -> object:
                if self._task == 1 and now.updates == 7:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(self, batch, now)

            Continual.update = dies  # type: ignore[assignment, method-assign]
            trained(tmp_path / "killed", config)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert any((tmp_path / "killed" / "02-all-2").glob("checkpoints/*/manifest.json"))
    assert np.array_equal(trained(tmp_path / "killed", config), whole)
    for stage in ("01-all-1", "02-all-2"):
        one, other = (tmp_path / run / stage for run in ("whole", "killed"))
        assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
        last = json.loads((one / "result.json").read_text())["checkpoint"]
        names = [file.name for file in (one / last).iterdir() if file.name.startswith("algorithm")]
        assert names
        for name in names:  # the memory, the anchor and the old network too
            assert (one / last / name).read_bytes() == (other / last / name).read_bytes()


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        (((0, 1), (1, 2, 3)), "tasks: class 1 is in 2 tasks: each of 0 to 3 takes one"),
        (((0, 1), (2,)), "tasks: class 3 is in no task"),
        (((0, 1), (2, 3, 7)), "tasks: there is no class 7: four clouds has 0 to 3"),
        (((0, 1, 2, 3),), "tasks: there are 1, and nothing to forget: it takes at least two"),
    ],
)
def test_tasks_that_do_not_fit_the_classes_are_told(tasks: Sequence[Sequence[int]], told: str) -> None:
    with pytest.raises(UserError, match=told):
        continual.with_tasks(four_clouds(), tasks)


def test_a_task_without_samples_and_a_target_without_classes_are_told() -> None:
    data = four_clouds()
    few = data.select(np.flatnonzero(data.array("target") < 2))
    with pytest.raises(UserError, match=r"four clouds has no samples of task 2, classes \[2, 3\]"):
        continual.with_tasks(few, TASKS)
    numbers = of_arrays(np.zeros((4, 2), np.float32), np.zeros(4, np.float32), "numbers")
    with pytest.raises(UserError, match="numbers has no classes to make tasks of"):
        continual.with_tasks(numbers, TASKS)


def test_a_value_that_is_no_number_in_a_later_task_ends_it_before_the_first(tmp_path: Path) -> None:
    bad = SPLITS[1].train.array("input").copy()
    bad[3, 1] = np.nan
    later = of_arrays(bad, SPLITS[1].train.array("target"), "four clouds", columns=("east", "north"))
    config = a_config()
    with (
        pytest.raises(UserError, match="four clouds: column 'north' is missing in 1 samples, such as 3"),
        Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run,
    ):
        continual.train(config, run, "all", [SPLITS[0], SPLITS[1]._replace(train=later)], TASKS)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"anchor": -1.0}, "anchor = -1.0"),
        ({"memory": 0}, "memory = 0"),
        ({"replayed": -1}, "replayed = -1"),
        ({"logits": 1.0}, "logits = 1.0: it takes 0 without replayed samples"),
    ],
)
def test_impossible_numbers_are_told(changes: dict[str, float], told: str) -> None:
    with pytest.raises(UserError, match=told):
        ContinualConfig(**changes)  # type: ignore[arg-type]
