"""Supervised learning: losses by hand, accumulation, what is told of bad data, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetuning.coral import CORAL
from finetuning.dann import DANN
from finetuning.distillation import Distillation
from pretraining.baselines.linear import compared, logistic_regression, ridge
from pretraining.model import load_model
from pretraining.predictor import Predictor, PredictorConfig
from pretraining.supervised import (
    CLASS_SCORE,
    Supervised,
    SupervisedConfig,
    SupervisedRunConfig,
    class_loss,
    class_measures,
    number_loss,
    number_measures,
    train,
)
from training.core import Budget, Counters
from training.data.dataset import Dataset
from training.data.preprocessing import PreprocessingConfig
from training.data.sources import of_arrays, sklearn_dataset
from training.data.splits import SplitConfig, Splits, split
from training.errors import UserError
from training.networks import NetworkConfig
from training.networks.transformer import TransformerConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run
from training.seeding import generator

RESUMED = {
    # Tables: early stopping, a calibrated model; an epoch ends with a smaller minibatch.
    "breast_cancer_mlp": ["--epochs", "12", "--model.network.hidden", "8"],
    # Augmented images, averaged weights.
    "digits_cnn": ["--epochs", "8", "--minibatch-size", "100", "--model.network.channels", "2", "2"],
}

SMALL = NetworkConfig(hidden=(8,), activation="relu", cnn="residual", channels=(4, 4))


CONFIG = SupervisedRunConfig(
    epochs=40,
    minibatch_size=16,
    threads=1,
    model=PredictorConfig(network=NetworkConfig(hidden=(16,), activation="relu")),
    algorithm=SupervisedConfig(optimizer=OptimizerConfig("adamw", learning_rate=1e-2)),
)


def two_moons(**changes: Any) -> Dataset:
    """Two classes that no line tells apart."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 2)).astype(np.float32)
    arrays = {"inputs": x, "target": (x[:, 0] * x[:, 1] > 0).astype(np.int64), **changes}
    return of_arrays(arrays["inputs"], arrays["target"], "quadrants", columns=("east", "north"))


def trained(folder: Path, splits: Splits, config: SupervisedRunConfig = CONFIG, **how: Any) -> Run:
    with Run.create("made_up", config, folder=folder, tracker="none") as run:
        train(config, run, splits, **how)
    return run


def on_digits(config: SupervisedConfig, model: Predictor | None = None) -> Supervised:
    digits = sklearn_dataset("digits")
    shape = PredictorConfig(network=SMALL)
    model = model or Predictor(digits.inputs, digits.target, shape, generator(1, "weights"))
    return Supervised(model, config, until=Budget(10, "epochs"), seed=1)


def test_it_learns_what_no_linear_model_can_and_the_saved_model_says_the_same(tmp_path: Path) -> None:
    splits = split(two_moons(), SplitConfig("stratified"), seed=1)
    linear = logistic_regression(splits)
    run = trained(tmp_path / "run", splits, measure=lambda _, found: compared(found, linear, "linear"))
    measured = run.result["metrics"]
    assert measured["test/accuracy"] > 0.9 > linear["accuracy"] + 0.2
    assert measured["over_linear/accuracy"] == measured["test/accuracy"] - linear["accuracy"]
    model = load_model(run.folder, "last")
    probabilities = model.predict(splits.test.gather(torch.arange(len(splits.test))))
    assert class_measures(probabilities.log(), torch.from_numpy(splits.test.array("target")), 1.0)[
        "log_likelihood"
    ] == pytest.approx(measured["test/log_likelihood"], abs=1e-6)


def test_it_learns_numbers_in_their_own_unit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)).astype(np.float32) * 100
    y = 1e4 + 50 * x[:, 0] + 20 * np.abs(x[:, 1])
    splits = split(of_arrays(x, y.astype(np.float32), "a bent plane"), SplitConfig(), seed=1)
    run = trained(tmp_path / "run", splits)
    measured = run.result["metrics"]
    assert measured["test/r2"] > 0.95 > ridge(splits)["r2"] - 0.05
    said = load_model(run.folder, "last").predict(splits.test.gather(torch.arange(len(splits.test))))
    assert number_measures(said.numpy(), splits.test.array("target"))["r2"] == pytest.approx(measured["test/r2"])


def test_the_losses_are_those_of_the_formulas() -> None:
    logits, target = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), torch.tensor([0, 0, 1])
    loss = class_loss(logits, target, 0.0)
    by_hand = [np.log(1 + np.exp(-2)), np.log(1 + np.e), np.log(2)]
    assert float(loss.sum) == pytest.approx(sum(by_hand), abs=1e-6)
    assert (loss.count, float(loss.metrics["learner/accuracy"].value)) == (3, pytest.approx(1 / 3))
    smooth = class_loss(logits[:1], target[:1], 0.2)  # (1 - 0.2) of the class itself and 0.1 of each
    assert float(smooth.sum) == pytest.approx(0.9 * by_hand[0] + 0.1 * np.log(1 + np.exp(2)), abs=1e-6)
    numbers = number_loss(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 4.0]]))
    assert (float(numbers.sum), numbers.count) == ((1 + 4) / 2 + 16 / 2, 2)


@pytest.mark.parametrize("transformer", [None, TransformerConfig(width=8, layers=1, heads=2, causal=False)])
def test_accumulated_micro_batches_are_the_big_batch(transformer: TransformerConfig | None) -> None:
    digits = sklearn_dataset("digits")
    batch = digits.gather(torch.arange(30))
    found = []
    for micro_batches in (1, 4):
        model = Predictor(digits.inputs, digits.target, PredictorConfig(SMALL, transformer), generator(1, "weights"))
        config = SupervisedConfig(optimizer=OptimizerConfig("sgd", learning_rate=0.1, micro_batches=micro_batches))
        algorithm = on_digits(config, model)
        measured, _ = algorithm.update(batch, Counters())
        found.append((dict(model.named_parameters()), float(measured["optimizer/loss"].value)))
    assert found[0][1] == pytest.approx(found[1][1], abs=1e-6)
    for key, value in found[0][0].items():
        torch.testing.assert_close(found[1][0][key], value, rtol=1e-4, atol=1e-6)


@pytest.mark.full
def test_a_compiled_update_is_the_update() -> None:
    batch = sklearn_dataset("digits").gather(torch.arange(32))
    found = []
    for compiles in (False, True):
        algorithm = on_digits(SupervisedConfig(optimizer=OptimizerConfig(compile=compiles)))
        algorithm.update(batch, Counters())
        found.append(algorithm.model.state_dict())
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value, rtol=1e-4, atol=1e-5)


def test_measuring_the_test_split_moves_nothing_and_the_validation_split_only_the_temperature() -> None:
    algorithm, digits = on_digits(SupervisedConfig()), sklearn_dataset("digits").select(np.arange(100))
    before = {key: value.clone() for key, value in algorithm.model.state_dict().items()}
    algorithm.measure(digits.batches(30), "test")
    assert all(torch.equal(value, before[key]) for key, value in algorithm.model.state_dict().items())
    algorithm.measure(digits.batches(30), "validation")
    moved = {key for key, value in algorithm.model.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {"temperature"}


def test_missing_values_are_told_or_become_the_median_of_the_training_split(tmp_path: Path) -> None:
    data = two_moons()
    data.arrays["input"][[3, 50], 1] = np.nan
    splits = split(data, SplitConfig("stratified"), seed=1)
    with pytest.raises(UserError, match=r"quadrants: column 'north' is missing in \d samples, such as \d+; preproc"):
        trained(tmp_path / "told", splits)
    imputes = PreprocessingConfig(impute_median=True)
    model = Predictor(data.inputs, data.target, PredictorConfig(SMALL, preprocessing=imputes), generator(1, "weights"))
    model.fit_preprocessing(splits.train)
    known = splits.train.array("input")[:, 1]
    seen = model.preprocessing({"input": torch.tensor([[0.0, np.nan]])})["input"][0, 1]
    filled = np.where(np.isnan(known), np.nanmedian(known), known)
    assert float(seen) == pytest.approx((np.nanmedian(known) - filled.mean()) / filled.std(), abs=1e-5)
    assert trained(
        tmp_path / "run", splits, replace(CONFIG, model=replace(CONFIG.model, preprocessing=imputes))
    ).finished


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"inputs": np.stack([np.arange(300), np.ones(300)], 1).astype(np.float32)},
            "column 'north' is constant in the",
        ),
        ({"inputs": np.full((300, 2), np.inf, np.float32)}, "column 'east' is infinite in"),
        ({"target": np.full(300, np.nan, np.float32)}, "target is missing in"),
        ({"target": np.ones(300, np.float32)}, "the target is constant in the training split"),
        ({"target": np.zeros(300, np.int64)}, "the target has one class only"),
    ],
)
def test_data_that_say_nothing_are_told_before_training(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    splits = split(two_moons(**changes), SplitConfig(leaks="drop"), seed=1) if "inputs" not in changes else None
    if splits is None:
        data = two_moons(**changes)
        parts = [data.select(rows) for rows in np.array_split(np.random.default_rng(0).permutation(300), 3)]
        splits = Splits(*parts)
    with pytest.raises(UserError, match=told):
        trained(tmp_path / "run", splits)
    assert not (tmp_path / "run").exists()


def test_no_temperature_changes_what_chooses_the_best_checkpoint() -> None:
    digits = sklearn_dataset("digits")
    model = Predictor(digits.inputs, digits.target, PredictorConfig(network=SMALL), generator(1, "weights"))
    supervised = on_digits(SupervisedConfig(), model)
    assert {supervised.score, DANN.score, CORAL.score, Distillation.score} == {CLASS_SCORE}
    scores = []
    for temperature in (0.1, 10.0):
        model.temperature.fill_(temperature)
        scores.append(supervised.measure(digits.select(np.arange(50)).batches(50), "test")[CLASS_SCORE])
    assert scores[0] == scores[1]
