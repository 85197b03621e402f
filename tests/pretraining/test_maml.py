"""MAML: its gradient against automatic differentiation written out, first order, exact resume, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pretraining import maml
from pretraining.maml import MAML, MAMLConfig, MAMLRunConfig, adapted, adapted_accuracy, answered, new_model
from pretraining.model import load_model
from pretraining.predictor import PredictorConfig
from tests.pretraining.test_prototypical import NETWORK, equal, splits
from training.core import Batch, Budget, Counters, Every
from training.data.augmentation import AugmentationConfig
from training.data.few_shot import FewShot, TaskConfig
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.run.checkpoint import Checkpoint, read_state
from training.run.run import Run

RESUMED = {
    "glyphs_maml": [
        *("--steps", "80", "--test-classes", "30", "--validation-classes", "20", "--algorithm.measured-tasks", "20"),
        *("--algorithm.tasks", "2", "--alone-steps", "2"),
    ],
}
CONFIG = MAMLConfig(
    task=TaskConfig(3, 1, 2), tasks=4, measured_tasks=60, optimizer=OptimizerConfig("adam", learning_rate=3e-3)
)


def algorithm(config: MAMLConfig = CONFIG, seed: int = 1) -> MAML:
    run = MAMLRunConfig(seed=seed, model=PredictorConfig(network=NETWORK), algorithm=config)
    return MAML(new_model(run, splits()), config, until=Budget(100, "updates"), seed=seed)


def tasks(config: MAMLConfig = CONFIG) -> Batch:
    batch, _, _ = FewShot(splits().train, config.task, tasks=config.tasks, seed=1).next(Counters())
    return {"input": batch["input"]}


def by_hand(one: MAML, batch: Batch, *, steps: int, first_order: bool) -> list[Tensor]:
    """Task by task, sample for sample, with `torch.autograd` alone."""
    config, total = one._config, torch.zeros(())
    names = [name for name, _ in one.model.named_parameters()]
    for pictures in batch["input"]:
        weights: list[Tensor] = list(one.model.parameters())
        for _ in range(steps):
            shown = {"input": pictures[:, : config.task.shots]}
            logits, truth = answered(one.model, dict(zip(names, weights, strict=True)), shown)
            gradient = torch.autograd.grad(F.cross_entropy(logits, truth), weights, create_graph=not first_order)
            weights = [value - config.inner_rate * g for value, g in zip(weights, gradient, strict=True)]
        asked = {"input": pictures[:, config.task.shots :]}
        logits, truth = answered(one.model, dict(zip(names, weights, strict=True)), asked)
        total = total + F.cross_entropy(logits, truth) / len(batch["input"])
    return list(torch.autograd.grad(total, list(one.model.parameters())))


@pytest.mark.parametrize(("steps", "first_order"), [(1, False), (2, False), (2, True)])
def test_the_gradient_is_that_through_the_inner_steps(steps: int, first_order: bool) -> None:
    one = algorithm(replace(CONFIG, inner_steps=steps, first_order=first_order))
    expected = by_hand(one, tasks(), steps=steps, first_order=first_order)
    found = one._optimizer.gradient(one._loss, tasks()).values
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(own, other, rtol=2e-3, atol=2e-5)
    others = by_hand(one, tasks(), steps=steps, first_order=not first_order)
    assert max(float((own - other).abs().max()) for own, other in zip(found, others, strict=True)) > 1e-3


def test_micro_batches_of_tasks_are_the_whole_batch() -> None:
    whole = algorithm()
    parts = algorithm(replace(CONFIG, optimizer=replace(CONFIG.optimizer, micro_batches=2)))
    found = [one._optimizer.gradient(one._loss, tasks()) for one in (whole, parts)]
    for own, other in zip(found[0].values, found[1].values, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-5)


def test_an_inner_step_lowers_the_loss_on_what_is_shown_and_leaves_the_weights() -> None:
    one = algorithm()
    shown = {"input": tasks()["input"][0][:, :1]}
    weights = dict(one.model.named_parameters())
    before = {key: value.detach().clone() for key, value in weights.items()}
    losses = []
    for steps in (0, 1, 5):
        logits, truth = answered(one.model, adapted(one.model, weights, shown, steps, 0.1), shown)
        losses.append(float(F.cross_entropy(logits, truth).detach()))
    assert losses[0] > losses[1] > losses[2]
    assert equal({key: value.detach() for key, value in weights.items()}, before)


def test_what_is_said_of_a_query_does_not_depend_on_the_other_queries() -> None:
    one = algorithm()
    task = tasks()["input"][0]
    weights = adapted(one.model, dict(one.model.named_parameters()), {"input": task[:, :1]}, 2, 0.4)
    together, _ = answered(one.model, weights, {"input": task[:, 1:]})
    alone = [answered(one.model, weights, {"input": row[None, None]})[0] for row in task[:, 1:].flatten(0, 1)]
    torch.testing.assert_close(together, torch.cat(alone))


def learn(one: MAML, stream: FewShot, now: Counters, updates: int) -> Counters:
    for _ in range(updates):
        batch, now, _ = stream.next(now)
        one.update(batch, now)
        now = now.advance(updates=1)
    return now


def test_it_goes_on_to_the_bit_in_the_middle_of_the_tasks(tmp_path: Path) -> None:
    config = replace(CONFIG, augmentation=AugmentationConfig(shift_pixels=1.0))
    streams = [FewShot(splits().train, config.task, tasks=config.tasks, seed=1) for _ in range(2)]
    one, again = algorithm(config), algorithm(config, seed=2)
    now = learn(one, streams[0], Counters(), 3)
    saved = Checkpoint(tmp_path, {"algorithm": one, "stream": streams[0]}, every=Every(1)).save(now)
    learn(one, streams[0], now, 2)
    torch.rand(5)
    again.load_state_dict(read_state(saved, "algorithm"))
    streams[1].load_state_dict(read_state(saved, "stream"))
    learn(again, streams[1], now, 2)
    assert equal(again.state_dict(), one.state_dict())
    before = {key: value.clone() for key, value in one.model.state_dict().items()}
    assert one.measure(splits().test.batches(64), "test") == one.measure(splits().test.batches(200), "test")
    assert equal(one.model.state_dict(), before)


def test_it_learns_weights_to_learn_from(tmp_path: Path) -> None:
    config = MAMLRunConfig(steps=50, threads=1, model=PredictorConfig(network=NETWORK), algorithm=CONFIG)
    parts = splits()
    with Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run:
        maml.train(config, run, parts)
    how: dict[str, Any] = {"steps": CONFIG.measured_steps, "rate": CONFIG.inner_rate, "count": 60, "source": "test"}
    new = adapted_accuracy(new_model(config, parts), [*parts.test.batches(200)], CONFIG.measured, seed=1, **how)
    assert run.result["metrics"]["test/accuracy"] > max(new, 1 / 3) + 0.05
    assert load_model(run.folder, "last").classes == 3


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"inner_rate": 0.0}, "inner_rate = 0.0: it takes a number above 0"),
        ({"inner_steps": 0}, "inner_steps = 0"),
        ({"measured_steps": 0}, "measured_steps = 0"),
    ],
)
def test_numbers_that_cannot_be_are_told(how: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        MAMLConfig(**how)


def test_a_class_with_too_few_samples_is_told_before_training(tmp_path: Path) -> None:
    config = MAMLRunConfig(model=PredictorConfig(network=NETWORK), algorithm=replace(CONFIG, task=TaskConfig(3, 9, 5)))
    with (
        Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run,
        pytest.raises(UserError, match=r"the train split of .* has 12 samples: shots = 9 and queries = 5 take"),
    ):
        maml.train(config, run, splits())
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
