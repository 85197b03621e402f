"""CORAL: its equations by hand, that it refuses accumulation, and features that vary alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from finetuning.coral import CORAL, CORALConfig, coral_distance
from finetuning.domains import Domains
from tests.support.domains import blobs, images, small_model
from training.core import Budget, Counters
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.seeding import generator


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


def test_accumulation_is_refused() -> None:
    with pytest.raises(UserError, match=r"optimizer\.micro_batches = 2: it takes 1: the covariances"):
        CORALConfig(optimizer=OptimizerConfig(micro_batches=2))


def test_coral_makes_the_features_of_both_domains_vary_alike() -> None:
    source, target = images(200, 0, 1), images(200, 100, 2)
    distances = []
    for weight in (0.0, 1000.0):
        own = small_model(source)
        config = CORALConfig(weight=weight, optimizer=OptimizerConfig(learning_rate=3e-3))
        algorithm = CORAL(own, config, until=Budget(10, "updates"))
        metrics: dict[str, Any] = {}
        stream = Domains(source, target, 64, seed=1)
        for _ in range(60):
            metrics, _ = algorithm.update(stream.next(Counters())[0], Counters())
        distances.append(float(metrics["learner/coral_distance"].value))
        assert algorithm.measure(source.batches(64), "validation")["accuracy"] > 0.95
    assert distances[1] < distances[0] / 2


def test_features_that_are_the_inputs_are_refused() -> None:
    source = blobs(10, 0.0, 1)
    with pytest.raises(UserError, match="no feature can be adapted"):
        CORAL(small_model(source), CORALConfig(), until=Budget(1, "updates"))
