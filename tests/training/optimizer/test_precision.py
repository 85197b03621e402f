"""The precision of the forward pass."""

from __future__ import annotations

import pytest
import torch

from tests.support.optimizers import (
    data,
    network,
    optimizer_for,
)
from training.core import Batch, Counters
from training.errors import UserError
from training.optimizer import Loss
from training.optimizer.precision import autocast


def test_bf16_computes_in_bf16_and_keeps_float32_parameters() -> None:
    model, dtypes = network(), []

    def loss_fn(batch: Batch) -> Loss:
        output = model(batch["x"])
        dtypes.append(output.dtype)
        return Loss((output.float() - batch["y"]).square().sum(), len(output), {})

    optimizer = optimizer_for(model, learning_rate=1e-2, precision="bf16")
    losses = [float(optimizer.step(loss_fn, data(), Counters())["optimizer/loss"].value) for _ in range(50)]
    assert set(dtypes) == {torch.bfloat16}
    assert model[0].weight.dtype == torch.float32
    assert losses[-1] < 0.8 * losses[0]


def test_a_device_that_cannot_compute_in_it_is_named() -> None:
    with pytest.raises(UserError, match=r"^actor\.precision = 'bf16': meta cannot compute in it; use 'float32'$"):
        autocast(torch.device("meta"), "bf16", "actor")
