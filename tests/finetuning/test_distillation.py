"""Distillation and fine-tuning of predictors: the loss by hand, what begins where, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from finetuning import distillation, predictor
from finetuning.distillation import Distillation, DistillationConfig, DistillationRunConfig, distillation_loss
from finetuning.predictor import FineTuneConfig
from pretraining.predictor import Predictor, PredictorConfig
from pretraining.supervised import SupervisedConfig
from training.core import Budget, Counters
from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, Splits, split
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run
from training.seeding import generator


def pictures(count: int = 90, classes: int = 3) -> Dataset:
    """The class is which pair of columns is bright."""
    rng = np.random.default_rng(1)
    target = np.arange(count) % classes
    images = rng.integers(0, 60, (count, 6, 6))
    for image, side in zip(images, target, strict=True):
        image[:, 2 * side : 2 * side + 2] += 120
    return of_arrays(images.astype(np.uint8), target, "pictures", labels=[str(label) for label in range(classes)])


def small_predictor(data: Dataset, seed: int, *, cnn: str = "small") -> Predictor:
    network = NetworkConfig(hidden=(), activation="relu", cnn="residual", channels=(4,))
    if cnn == "small":
        network = NetworkConfig(hidden=(), activation="relu", cnn="small")
    return Predictor(data.inputs, data.target, PredictorConfig(network=network), generator(seed))


def parts(data: Dataset) -> Splits:
    return split(data, SplitConfig("stratified", validation=0.2, test=0.2), seed=1)


def test_the_loss_is_its_three_parts() -> None:
    rng = generator(1)
    logits, taught = torch.randn(4, 3, generator=rng), torch.randn(4, 3, generator=rng)
    projected, features = torch.randn(4, 5, generator=rng), torch.randn(4, 5, generator=rng)
    batch = {"target": torch.tensor([0, 2, 1, 1]), "taught_logits": taught, "taught_features": features}
    config = DistillationConfig(temperature=3.0, labels=0.2, logits=0.7, features=0.4)
    loss = distillation_loss(logits, projected, batch, config)
    p, q = (taught / 3).softmax(-1), (logits / 3).softmax(-1)
    expected = 0.2 * F.cross_entropy(logits, batch["target"])
    expected += 0.7 * 9 * (p * (p / q).log()).sum(-1).mean()
    expected += 0.4 * ((projected - features) ** 2).mean() / 2
    torch.testing.assert_close(loss.sum / loss.count, expected)


def test_at_a_high_temperature_the_gradient_is_that_of_the_logits_squared_distance() -> None:
    """Hinton et al. 2015, equation 4: 1 / (N T^2) of the difference of centred logits; times T^2 here."""
    logits = torch.tensor([[1.0, -1.0, 0.5]], requires_grad=True)
    taught = torch.tensor([[0.2, 0.9, -1.1]])
    batch = {"target": torch.tensor([0]), "taught_logits": taught, "taught_features": torch.zeros(1, 1)}
    config = DistillationConfig(temperature=1000.0, labels=0.0, logits=1.0)
    distillation_loss(logits, torch.zeros(1, 1), batch, config).sum.backward()
    difference = logits.detach() - taught
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, (difference - difference.mean()) / 3, atol=2e-3, rtol=0)


@pytest.mark.parametrize("features", [0.0, 1.0])
def test_a_student_comes_to_say_what_its_teacher_says(features: float) -> None:
    data = pictures()
    teacher, student = small_predictor(data, 1, cnn="residual"), small_predictor(data, 2)
    with torch.no_grad():
        teacher.head[-1].weight.mul_(300)
    config = DistillationConfig(
        labels=0.0, logits=1.0, features=features, optimizer=OptimizerConfig(learning_rate=3e-3)
    )
    learner = Distillation(student, teacher, config, until=Budget(1, "updates"), seed=1)
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    batch = data.gather(torch.arange(len(data)))
    losses = [float(learner.update(batch, Counters())[0]["optimizer/loss"].value) for _ in range(80)]
    assert losses[-1] < losses[0] / 5
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())
    assert any("projection" in key for key in learner.state_dict()["optimizer"]["moments"]) == bool(features)


def test_what_cannot_be_taught_is_told() -> None:
    teacher, student = small_predictor(pictures(), 1), small_predictor(pictures(classes=2), 1)
    with pytest.raises(UserError, match="the teacher tells 3 classes apart, the student 2"):
        Distillation(student, teacher, DistillationConfig(), until=Budget(1, "updates"), seed=1)
    with pytest.raises(UserError, match="logits = 0: it takes more than 0, or features does"):
        DistillationConfig(logits=0)


def test_a_whole_run_of_each(tmp_path: Path) -> None:
    data = pictures()
    splits = parts(data)
    teacher = small_predictor(data, 1)
    student = DistillationRunConfig(epochs=15, minibatch_size=16, threads=1, model=teacher.config)
    student = replace(student, algorithm=DistillationConfig(labels=1.0))
    with Run.create("digits_distillation", student, folder=tmp_path / "student", tracker="none") as run:
        distillation.train(student, run, splits, teacher)
    assert run.result["metrics"]["test/accuracy"] > 0.9


@pytest.mark.parametrize("anchor", [0.0, 1000.0])
def test_fine_tuning_begins_with_the_encoder_and_an_anchor_holds_it(anchor: float, tmp_path: Path) -> None:
    data = pictures()
    pretrained = small_predictor(data, 7)
    begin = {key: value.clone() for key, value in pretrained.encoder.state_dict().items()}
    config = FineTuneConfig(
        epochs=10,
        minibatch_size=16,
        threads=1,
        model=pretrained.config,
        anchor=anchor,
        algorithm=SupervisedConfig(optimizer=OptimizerConfig("sgd", learning_rate=1e-3)),
    )
    with Run.create("digits_full_fine_tune", config, folder=tmp_path / "run", tracker="none") as run:
        predictor.train(config, run, parts(data), pretrained)
    from pretraining.model import load_model

    tuned = load_model(tmp_path / "run", "last").encoder.state_dict()
    distance = sum(float((value - begin[key]).square().sum()) for key, value in tuned.items())
    assert 0 < distance < (1e-4 if anchor else 1.0)


def test_an_encoder_of_another_architecture_is_told(tmp_path: Path) -> None:
    data = pictures()
    config = FineTuneConfig(epochs=1, threads=1, model=small_predictor(data, 1).config)
    told = "the pretrained model is of another architecture"
    with (
        pytest.raises(UserError, match=told),
        Run.create("digits_full_fine_tune", config, folder=tmp_path / "run", tracker="none") as run,
    ):
        predictor.train(config, run, parts(data), small_predictor(data, 1, cnn="residual"))
