"""Numbers within bounds: a clamp's values, and a gradient that leads back."""

from __future__ import annotations

import pytest
import torch

from tests.support.optimizers import optimizer_for
from training.core import Batch, Counters
from training.networks.bounds import bounded
from training.optimizer import Loss

LOW, HIGH = -1.0, 2.0
START = (HIGH + 0.5, LOW - 0.5, HIGH + 0.5, LOW - 0.5, 0.5)
GOAL = (0.0, 0.0, 5.0, -5.0, 0.0)


class Numbers(torch.nn.Module):
    """Bounded parameters, each pulled towards its goal."""

    def __init__(self) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(START))

    def loss(self, batch: Batch) -> Loss:
        error = bounded(self.value, LOW, HIGH) - batch["goal"]
        return Loss(error.square().sum(), 1, {})


@pytest.mark.parametrize("compiled", [False, True])
def test_beyond_a_bound_a_step_leads_back_and_never_on(compiled: bool) -> None:
    model = Numbers()
    optimizer = optimizer_for(model, learning_rate=0.01, compile=compiled)
    optimizer.step(model.loss, {"goal": torch.tensor(GOAL)}, Counters())
    back = [HIGH + 0.49, LOW - 0.49, *START[2:4], 0.49]
    torch.testing.assert_close(model.value.detach(), torch.tensor(back))


def test_within_the_bounds_it_is_a_clamp_to_the_bit() -> None:
    values = torch.linspace(LOW, HIGH, 31).requires_grad_()
    weight = torch.randn(31, generator=torch.Generator().manual_seed(1))
    ours, theirs = bounded(values, LOW, HIGH), values.clamp(LOW, HIGH)
    (own,) = torch.autograd.grad((weight * ours.exp()).sum(), values)
    (its,) = torch.autograd.grad((weight * theirs.exp()).sum(), values)
    assert torch.equal(ours, theirs)
    assert torch.equal(own, its)
    beyond = torch.tensor([LOW - 3, HIGH + 3])
    assert torch.equal(bounded(beyond, LOW, HIGH), beyond.clamp(LOW, HIGH))
