"""DANN: its equations by hand, accumulation, and features that do not tell the domains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from finetuning.dann import DANN, DANNConfig, dann_loss, reversed_gradient
from finetuning.domains import Domains, shares
from tests.support.domains import batch_of, blobs, images, small_model
from training.core import Budget, Counters
from training.errors import UserError
from training.optimizer import OptimizerConfig


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


def test_accumulation_is_exact() -> None:
    source, target = images(40, 0, 1), images(40, 100, 2)
    weights: list[Tensor] = []
    for parts in (1, 3):
        own = small_model(source)
        config = DANNConfig(optimizer=OptimizerConfig("sgd", learning_rate=0.1, micro_batches=parts))
        algorithm = DANN(own, config, until=Budget(10, "updates"), seed=1)
        algorithm.update(batch_of(source, target), Counters(updates=5))
        weights.append(torch.cat([weight.detach().flatten() for weight in own.parameters()]))
    torch.testing.assert_close(weights[0], weights[1])


def test_dann_makes_features_that_do_not_tell_the_domains() -> None:
    source, target = images(200, 0, 1), images(200, 60, 2)
    told = []
    for reversal in (0.0, 1.0):
        own = small_model(source)
        config = DANNConfig(reversal=reversal, optimizer=OptimizerConfig(learning_rate=1e-3))
        algorithm = DANN(own, config, until=Budget(150, "updates"), seed=1)
        stream, now = Domains(source, target, 64, seed=1), Counters()
        for _ in range(150):
            metrics, _ = algorithm.update(stream.next(now)[0], now)
            now = now.advance(updates=1)
        told.append(float(metrics["learner/domain_accuracy"].value))
        assert algorithm.measure(source.batches(64), "validation")["accuracy"] > 0.95
    assert told[0] > 0.95
    assert told[1] < 0.9


def test_features_that_are_the_inputs_are_refused() -> None:
    source = blobs(10, 0.0, 1)
    with pytest.raises(UserError, match="no feature can be adapted"):
        DANN(small_model(source), DANNConfig(), until=Budget(1, "updates"), seed=1)
