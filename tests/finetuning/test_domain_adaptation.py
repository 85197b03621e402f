"""DANN and CORAL: their equations by hand, accumulation, the stream of two domains, and what they do to features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from finetuning.coral import CORAL, CORALConfig, coral_distance
from finetuning.dann import DANN, DANNConfig, dann_loss, reversed_gradient
from finetuning.domains import Domains, shares
from pretraining.predictor import Predictor, PredictorConfig
from training.core import Batch, Budget, Counters
from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.seeding import generator


def blobs(count: int, shift: float, seed: int) -> Dataset:
    """Two classes that the first number tells apart; the second one tells the domain."""
    rng = np.random.default_rng(seed)
    target = np.arange(count) % 2
    inputs = rng.normal(size=(count, 2)) * 0.3 + np.stack([2.0 * target - 1, np.full(count, shift)], 1)
    return of_arrays(inputs.astype(np.float32), target, "blobs", labels=["left", "right"])


def images(count: int, brightness: int, seed: int) -> Dataset:
    """Two classes, bright on the left or on the right; how bright the other half is tells the domain."""
    rng = np.random.default_rng(seed)
    target = np.arange(count) % 2
    pictures = rng.integers(brightness, brightness + 40, (count, 6, 6))
    for picture, side in zip(pictures, target, strict=True):
        picture[:, 3 * side : 3 * side + 3] += 90
    return of_arrays(pictures.astype(np.uint8), target, "pictures", labels=["left", "right"])


def model(data: Dataset, seed: int = 1) -> Predictor:
    config = PredictorConfig(network=NetworkConfig(hidden=(8,), activation="relu", cnn="small"))
    return Predictor(data.inputs, data.target, config, generator(seed))


def batch_of(source: Dataset, target: Dataset, size: int = 16) -> Batch:
    return Domains(source, target, size, seed=1).next(Counters())[0]


def test_a_batch_holds_both_domains_and_no_class_of_the_target() -> None:
    source, target = blobs(10, 0.0, 1), blobs(14, 5.0, 2)
    stream = Domains(source, target, 4, seed=1)
    now, seen = Counters(), []
    for _ in range(7):
        batch, now, _ = stream.next(now)
        from_source = batch["is_source"]
        assert batch["input"][from_source][:, 1].abs().max() < 3
        assert batch["input"][~from_source][:, 1].min() > 3
        assert (batch["target"][~from_source] == 0).all()
        seen.append(batch["input"][~from_source])
    assert now == Counters(epochs=2, samples=4 * 4 + 2 * 2 + 4)
    assert len(torch.cat(seen[:4]).unique(dim=0)) == 14  # an epoch of the target has its own length


def test_the_stream_goes_on_where_it_was() -> None:
    source, target = blobs(10, 0.0, 1), blobs(14, 5.0, 2)
    stream = Domains(source, target, 4, seed=1)
    for _ in range(5):
        stream.next(Counters())
    other = Domains(source, target, 4, seed=1)
    other.load_state_dict(stream.state_dict())
    for _ in range(5):
        one, two = stream.next(Counters())[0], other.next(Counters())[0]
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_shares_make_a_sum_the_means_of_the_two_domains() -> None:
    is_source = torch.tensor([True, True, True, False])
    losses = torch.tensor([1.0, 2.0, 6.0, 5.0])
    assert float((losses * shares(is_source)).sum() / 4) == pytest.approx(3 + 5)


def test_the_gradient_is_reversed_and_the_values_are_not() -> None:
    values = torch.tensor([[1.0, -2.0]], requires_grad=True)
    passed = reversed_gradient(values, torch.tensor([[0.5]]))
    torch.testing.assert_close(passed, values)
    (passed * torch.tensor([[3.0, 4.0]])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [[-1.5, -2.0]]


def test_the_loss_of_dann_by_hand() -> None:
    """Two of the source with probability 1/2 of their class, one of the target; domains told with probability 1/2."""
    is_source = torch.tensor([True, True, False])
    batch = {"target": torch.tensor([0, 1, 0]), "is_source": is_source, "share": shares(is_source)}
    loss = dann_loss(torch.zeros(3, 2), torch.zeros(3), batch)
    assert float(loss.sum / loss.count) == pytest.approx(np.log(2) + np.log(2))


def test_coral_is_the_distance_of_the_covariances() -> None:
    rng = generator(1)
    one, other = torch.randn(7, 3, generator=rng), 2 * torch.randn(5, 3, generator=rng)
    expected = (torch.cov(one.T) - torch.cov(other.T)).square().sum() / (4 * 9)
    source = torch.tensor([1.0] * 7 + [0.0] * 5)
    torch.testing.assert_close(coral_distance(torch.cat([one, other]), source), expected)


def test_one_sample_has_no_covariance() -> None:
    features, source = torch.randn(4, 3, generator=generator(1)), torch.tensor([1.0, 1.0, 1.0, 0.0])
    expected = torch.cov(features[:3].T).square().sum() / (4 * 9)
    torch.testing.assert_close(coral_distance(features, source), expected)


def test_accumulation_is_exact_for_dann_and_refused_by_coral() -> None:
    source, target = images(40, 0, 1), images(40, 100, 2)
    weights: list[Tensor] = []
    for parts in (1, 3):
        own = model(source)
        config = DANNConfig(optimizer=OptimizerConfig("sgd", learning_rate=0.1, micro_batches=parts))
        learner = DANN(own, config, until=Budget(10, "updates"), seed=1)
        learner.update(batch_of(source, target), Counters(updates=5))
        weights.append(torch.cat([weight.detach().flatten() for weight in own.parameters()]))
    torch.testing.assert_close(weights[0], weights[1])
    with pytest.raises(UserError, match=r"optimizer\.micro_batches = 2: it takes 1: the covariances"):
        CORALConfig(optimizer=OptimizerConfig(micro_batches=2))


def test_coral_makes_the_features_of_both_domains_vary_alike() -> None:
    source, target = images(200, 0, 1), images(200, 100, 2)
    distances = []
    for weight in (0.0, 1000.0):
        own = model(source)
        config = CORALConfig(weight=weight, optimizer=OptimizerConfig(learning_rate=3e-3))
        learner = CORAL(own, config, until=Budget(10, "updates"))
        metrics: dict[str, Any] = {}
        stream = Domains(source, target, 64, seed=1)
        for _ in range(60):
            metrics, _ = learner.update(stream.next(Counters())[0], Counters())
        distances.append(float(metrics["learner/coral_distance"].value))
        assert learner.measure(source.batches(64), "validation")["accuracy"] > 0.95
    assert distances[1] < distances[0] / 2


def test_dann_makes_features_that_do_not_tell_the_domains() -> None:
    source, target = images(200, 0, 1), images(200, 60, 2)
    told = []
    for reversal in (0.0, 1.0):
        own = model(source)
        config = DANNConfig(reversal=reversal, optimizer=OptimizerConfig(learning_rate=1e-3))
        learner = DANN(own, config, until=Budget(150, "updates"), seed=1)
        stream, now = Domains(source, target, 64, seed=1), Counters()
        for _ in range(150):
            metrics, _ = learner.update(stream.next(now)[0], now)
            now = now.advance(updates=1)
        told.append(float(metrics["learner/domain_accuracy"].value))
        assert learner.measure(source.batches(64), "validation")["accuracy"] > 0.95
    assert told[0] > 0.95
    assert told[1] < 0.9


def test_features_that_are_the_inputs_are_refused() -> None:
    source = blobs(10, 0.0, 1)
    with pytest.raises(UserError, match="no feature can be adapted"):
        CORAL(model(source), CORALConfig(), until=Budget(1, "updates"))
    with pytest.raises(UserError, match="no feature can be adapted"):
        DANN(model(source), DANNConfig(), until=Budget(1, "updates"), seed=1)
