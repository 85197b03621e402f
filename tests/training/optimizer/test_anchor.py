"""The penalty that keeps parameters near a reference."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.optimizer.anchor import Anchor


def parameters() -> dict[str, nn.Parameter]:
    return {"a": nn.Parameter(torch.tensor([1.0, 2.0])), "b": nn.Parameter(torch.tensor([[3.0]]))}


def test_the_penalty_by_hand() -> None:
    theta = parameters()
    anchor = Anchor(
        theta,
        0.5,
        reference={"a": torch.tensor([0.0, 4.0])},
        importance={"a": torch.tensor([2.0, 3.0])},
    )
    penalty = anchor.penalty()
    assert penalty.item() == 0.25 * (2 * 1 + 3 * 4)
    penalty.backward()
    assert theta["a"].grad is not None
    assert theta["a"].grad.tolist() == [0.5 * 2 * 1, 0.5 * 3 * -2]
    assert theta["b"].grad is None


def test_by_default_it_holds_everything_where_it_was() -> None:
    theta = parameters()
    anchor = Anchor(theta, 2.0)
    assert anchor.penalty().item() == 0
    with torch.no_grad():
        theta["a"].add_(1.0)
        theta["b"].sub_(3.0)
    assert anchor.penalty().item() == 1 + 1 + 9


def test_frozen_parameters_are_not_penalized() -> None:
    theta = parameters()
    anchor = Anchor(theta, 2.0)
    with torch.no_grad():
        theta["a"].add_(1.0)
        theta["b"].add_(1.0)
    theta["b"].requires_grad_(requires_grad=False)
    assert anchor.penalty().item() == 2


@pytest.mark.parametrize("micro_batches", [2, 3])
def test_accumulation_adds_it_once(micro_batches: int) -> None:
    updated = []
    for parts in (1, micro_batches):
        weight = nn.Parameter(torch.tensor([1.0, -1.0]))
        anchor = Anchor({"weight": weight}, 3.0, reference={"weight": torch.zeros(2)})

        def loss(batch: Batch, weight: nn.Parameter = weight, anchor: Anchor = anchor) -> Loss:
            errors = (batch["input"] @ weight - batch["target"]).square()
            return anchor.added_to(Loss(errors.sum(), len(errors), {}))

        config = OptimizerConfig("sgd", learning_rate=0.1, micro_batches=parts)
        batch = {"input": torch.arange(14.0).reshape(7, 2) / 10, "target": torch.arange(7.0)}
        Optimizer({"weight": weight}, config, until=Budget(1, "updates")).step(loss, batch, Counters())
        updated.append(weight.detach())
    torch.testing.assert_close(updated[0], updated[1])


def test_the_minimum_lies_between_the_loss_and_the_reference() -> None:
    """(theta - 1)^2 + 6 / 2 * theta^2 is least at 1 / 4."""
    theta = {"a": nn.Parameter(torch.ones(1))}
    anchor = Anchor(theta, 6.0, reference={"a": torch.zeros(1)})

    def loss(batch: Batch) -> Loss:
        return anchor.added_to(Loss((theta["a"] - 1).square().sum(), 1, {}))

    optimizer = Optimizer(theta, OptimizerConfig("sgd", learning_rate=0.05), until=Budget(1, "updates"))
    for _ in range(200):
        optimizer.step(loss, {}, Counters())
    assert float(theta["a"]) == pytest.approx(0.25, abs=1e-5)


def test_it_is_saved_with_its_reference() -> None:
    saved = Anchor(parameters(), 1.0).state_dict()
    theta = parameters()
    with torch.no_grad():
        theta["a"].add_(5.0)
    anchor = Anchor(theta, 1.0)
    anchor.load_state_dict(saved)
    assert anchor.penalty().item() == 25


def test_a_negative_weight_is_told() -> None:
    with pytest.raises(UserError, match="anchor = -1: it takes a number of at least 0"):
        Anchor(parameters(), -1)
