"""Distillation: the loss by hand, that a student comes to say what its teacher says, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from finetuning import distillation
from finetuning.distillation import Distillation, DistillationConfig, DistillationRunConfig, distillation_loss
from tests.support.pictures import pictures, small_predictor
from training.core import Budget, Counters
from training.data.dataset import Dataset
from training.data.splits import SplitConfig, Splits, split
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.run.run import Run
from training.seeding import generator

RESUMED = {  # three stages: a teacher and two students, one with a projection of its features
    "digits_distillation": [
        *("--epochs", "3", "--minibatch-size", "200", "--model.network.channels", "2", "2"),
        *("--by-logits.epochs", "2", "--by-logits.minibatch-size", "200", "--by-logits.threads", "1"),
        *("--by-features.epochs", "4", "--by-features.minibatch-size", "150", "--by-features.threads", "1"),
    ],
}


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
    algorithm = Distillation(student, teacher, config, until=Budget(1, "updates"), seed=1)
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    batch = data.gather(torch.arange(len(data)))
    losses = [float(algorithm.update(batch, Counters())[0]["optimizer/loss"].value) for _ in range(80)]
    assert losses[-1] < losses[0] / 5
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())
    assert any("projection" in key for key in algorithm.state_dict()["optimizer"]["moments"]) == bool(features)


def test_what_cannot_be_taught_is_told() -> None:
    teacher, student = small_predictor(pictures(), 1), small_predictor(pictures(classes=2), 1)
    with pytest.raises(UserError, match="the teacher tells 3 classes apart, the student 2"):
        Distillation(student, teacher, DistillationConfig(), until=Budget(1, "updates"), seed=1)
    with pytest.raises(UserError, match="logits = 0: it takes more than 0, or features does"):
        DistillationConfig(logits=0)


def test_a_whole_run(tmp_path: Path) -> None:
    data = pictures()
    splits = parts(data)
    teacher = small_predictor(data, 1)
    student = DistillationRunConfig(epochs=15, minibatch_size=16, threads=1, model=teacher.config)
    student = replace(student, algorithm=DistillationConfig(labels=1.0))
    with Run.create("digits_distillation", student, folder=tmp_path / "student", tracker="none") as run:
        distillation.train(student, run, splits, teacher)
    assert run.result["metrics"]["test/accuracy"] > 0.9
