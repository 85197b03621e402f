"""Volatility: the loss by hand, features that know no tomorrow, and a variance that is found through noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pretraining import volatility
from pretraining.predictor import PredictorConfig
from pretraining.recipe import HeldOutConfig
from pretraining.volatility import (
    VarianceConfig,
    VarianceRunConfig,
    qlike,
    qlike_loss,
    range_variance,
    trailing_mean,
)
from training.core import Every
from training.data.quality.report import examine
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, split
from training.errors import UserError
from training.experiments import load_experiment
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run

RESUMED = {
    "volatility_forecast": [
        "--epochs",
        "4",
        "--model.network.hidden",
        "4",
        "--refit-days",
        "800",
        "--train-days",
        "800",
    ]
}


def test_qlike_is_the_equation_and_lowest_at_the_mean() -> None:
    said, target = torch.tensor([0.0, 1.0]), torch.tensor([0.5, 1.0])
    loss = qlike_loss(said, target)
    assert (float(loss.sum), loss.count) == (pytest.approx(np.exp(0.5) - 0.5 - 1), 2)
    assert qlike(np.array([2.0]), np.array([1.0])) == pytest.approx([2 - np.log(2) - 1])
    noisy = np.random.default_rng(0).exponential(3.0, 20_000)
    scores = [qlike(noisy, np.full(len(noisy), h)).mean() for h in (2.0, noisy.mean(), 4.0)]
    assert np.argmin(scores) == 1


def test_ranges_and_trailing_means_by_hand() -> None:
    assert range_variance(np.array([np.e]), np.array([1.0])) == pytest.approx([1 / (4 * np.log(2))])
    means = trailing_mean(np.array([1.0, 2.0, 3.0, 4.0]), 2)
    assert np.isnan(means[0])
    assert list(means[1:]) == [1.5, 2.5, 3.5]


def test_a_variance_is_found_through_its_noise(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1_500, 1)).astype(np.float32)
    true = np.exp(-8 + np.abs(x[:, 0]))
    target = np.log(true * rng.exponential(1.0, len(true))).astype(np.float32)
    splits = split(of_arrays(x, target, "made up"), SplitConfig(test=0.4), seed=1)
    config = VarianceRunConfig(
        epochs=30,
        threads=1,
        evaluation=HeldOutConfig(every=Every(30, "epochs")),
        model=PredictorConfig(network=NetworkConfig(hidden=(16,))),
        algorithm=VarianceConfig(OptimizerConfig("adamw", learning_rate=1e-2)),
    )

    def beside_the_truth(algorithm: volatility.VarianceRegression, _: object) -> dict[str, float]:
        said = algorithm.says(splits.test.batches(500))
        expected = -8 + np.abs(splits.test.array("input")[:, 0])
        return {"apart": float(np.abs(said - expected).mean()), "bias": float((said - expected).mean())}

    with Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run:
        volatility.train(config, run, splits, measure=beside_the_truth)
    assert run.result["metrics"]["apart"] < 0.2  # a constant is 0.6 away
    assert abs(run.result["metrics"]["bias"]) < 0.15  # the mean of logarithms would be 0.58 below


def test_tomorrow_among_the_columns_is_found_and_days_stay_in_order() -> None:
    pytest.importorskip("arch")
    experiment = load_experiment("volatility_forecast", "experiments")
    days, config = experiment.market(), experiment.Config()
    clean = experiment.data(config)
    assert clean.train.array("time").max() < clean.validation.array("time").min()
    assert clean.validation.array("time").max() < clean.test.array("time").min()
    tomorrow = days._replace(
        inputs=np.column_stack([days.inputs, np.sqrt(days.variance)]), columns=(*days.columns, "volatility")
    )
    leaking = experiment.dataset(tomorrow).select(np.arange(800))
    (found,) = (one for one in examine(leaking).wrong if one.kind == "target leak")
    assert found.where == "volatility"
    assert "target leak" not in {one.kind for one in examine(clean.train.select(np.arange(800))).findings}
    with pytest.raises(UserError, match=r"split\.kind = 'temporal' divides by time"):
        split(experiment.dataset(days), SplitConfig("random"), seed=1)
