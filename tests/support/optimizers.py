"""A small network, its data and its loss, for tests of optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from training.core import Batch, Budget, Counters
from training.optimizer import Loss, Optimizer, OptimizerConfig

UNTIL = Budget(100, "updates")


def network(seed: int = 0, *, bias: bool = True) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 8, bias=bias), nn.Tanh(), nn.Linear(8, 2, bias=bias))


def data(rows: int = 12, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return {
        "x": torch.randn(rows, 3, generator=generator),
        "y": torch.randn(rows, 2, generator=generator),
        "weight": torch.rand(rows, generator=generator) + 0.1,
    }


def squared_error(model: nn.Module) -> Callable[[Batch], Loss]:
    def loss_fn(batch: Batch) -> Loss:
        return Loss((model(batch["x"]) - batch["y"]).square().sum(), batch["x"].shape[0], {})

    return loss_fn


def optimizer_for(model: nn.Module, until: Budget = UNTIL, name: str = "optimizer", **options: Any) -> Optimizer:
    return Optimizer(dict(model.named_parameters()), OptimizerConfig(**options), until=until, name=name)


def train(model: nn.Module, optimizer: Optimizer, first: int, last: int) -> None:
    for update in range(first, last):
        optimizer.step(squared_error(model), data(seed=update), Counters(updates=update))


def assert_same(a: nn.Module, b: nn.Module) -> None:
    for (key, x), y in zip(a.named_parameters(), b.parameters(), strict=True):
        assert torch.equal(x, y), key


def poisoned(model: nn.Sequential, layer: int) -> Callable[[Batch], Loss]:
    """Finite, but the gradient of one layer is nan (the square root of 0 times 0)."""
    return lambda batch: squared_error(model)(batch)._replace(
        sum=model(batch["x"]).sum() + (model[layer].weight * 0.0).sum().sqrt()
    )


def assert_states_equal(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_states_equal(a[key], b[key])
    else:
        assert torch.equal(a, b) if isinstance(a, Tensor) else a == b
