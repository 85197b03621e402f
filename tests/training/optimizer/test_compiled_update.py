"""The compiled update against the one of torch's own optimizers, and that it stops and resumes like that one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.optimizers import (
    data,
    network,
    optimizer_for,
    squared_error,
)
from training.core import Batch, Budget, Counters
from training.metrics import Mean
from training.networks import EnsembleMLP, NetworkConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig, Rule, Schedule
from training.optimizer.non_finite import NonFinite

OPTIONS: dict[str, Any] = {
    "learning_rate": 1e-2,
    "schedule": Schedule("linear"),
    "max_grad_norm": 0.5,
    "ema_decay": 0.9,
    "rules": (
        Rule("0.weight", frozen=True),
        Rule("0.*", kind="adamw", weight_decay=0.1),
        Rule("*", weight_decay=0.01, learning_rate=3e-3),
    ),
}


class Training:
    """A model that is trained update by update; the loss also measures something of its own."""

    def __init__(self, **options: Any) -> None:
        self.model = network()
        self.optimizer = optimizer_for(self.model, **(OPTIONS | options))
        self._loss = squared_error(self.model)

    def loss(self, batch: Batch) -> Loss:
        total, count, _ = self._loss(batch)
        return Loss(total, count, {"data/y_mean": Mean(batch["y"].mean())})

    def step(self, update: int, rows: int = 12) -> Any:
        return self.optimizer.step(self.loss, data(rows, seed=update), Counters(updates=update))


def parameters(optimizer: Optimizer) -> dict[str, torch.Tensor]:
    return {key: value.detach() for key, value in optimizer.parameters.items()}


def test_a_compiled_update_is_torchs() -> None:
    """Adam and AdamW, decays, rates that change, clipping, frozen parameters, averages, and another size of batch."""
    eager, compiled = Training(), Training(compile=True)
    for update in range(5):
        rows = 12 if update < 3 else 7
        theirs, ours = eager.step(update, rows), compiled.step(update, rows)
        assert {key: float(metric.value) for key, metric in ours.items()} == pytest.approx(
            {key: float(metric.value) for key, metric in theirs.items()}, rel=1e-5
        )
    torch.testing.assert_close(parameters(compiled.optimizer), parameters(eager.optimizer), rtol=1e-5, atol=1e-7)
    ours, theirs = compiled.optimizer.state_dict(), eager.optimizer.state_dict()
    for part in ("moments", "averages"):
        torch.testing.assert_close(_tensors(ours[part]), _tensors(theirs[part]), rtol=1e-5, atol=1e-7)


def _tensors(tree: dict[str, Any]) -> dict[str, Any]:
    """Without the words among the values."""
    return {
        key: _tensors(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if not isinstance(value, str)
    }


def test_a_compiled_run_resumes_to_the_bit() -> None:
    whole, first = Training(compile=True), Training(compile=True)
    for update in range(4):
        whole.step(update)
    for update in range(2):
        first.step(update)
    state, weights = copy.deepcopy(first.optimizer.state_dict()), copy.deepcopy(first.model.state_dict())
    second = Training(compile=True)
    second.step(9)  # what it has learned before is overwritten
    second.model.load_state_dict(weights)
    second.optimizer.load_state_dict(state)
    for update in range(2, 4):
        second.step(update)
    for key, value in parameters(whole.optimizer).items():
        assert torch.equal(value, parameters(second.optimizer)[key]), key


@pytest.mark.parametrize("how", ["stop", "skip"])
def test_a_compiled_update_that_is_not_finite_is_not_made(how: Any) -> None:
    training = Training(compile=True, on_non_finite=how)
    training.step(0)
    before = copy.deepcopy((training.model.state_dict(), training.optimizer.state_dict()))
    bad = data()
    bad["y"][3, 1] = float("inf")
    if how == "stop":
        with pytest.raises(NonFinite, match=r"update 2: the loss is inf; the norm of the gradient is not finite for"):
            training.optimizer.step(training.loss, bad, Counters(updates=1))
    else:
        metrics = training.optimizer.step(training.loss, bad, Counters(updates=1))
        assert [(key, metric.value) for key, metric in metrics.items()] == [("optimizer/skipped_updates", 1.0)]
    after = training.model.state_dict(), training.optimizer.state_dict()
    torch.testing.assert_close(_tensors(before[0]), _tensors(dict(after[0])), rtol=0, atol=0)
    torch.testing.assert_close(_tensors(before[1]["moments"]), _tensors(after[1]["moments"]), rtol=0, atol=0)
    assert training.step(2)["optimizer/loss"].value > 0


def test_a_number_that_a_loss_reads_may_change() -> None:
    training, weight = Training(compile=True), [1.0]

    def loss(batch: Batch) -> Loss:
        total, count, metrics = training.loss(batch)
        return Loss(weight[0] * total, count, metrics)

    measured = []
    for weight[0] in (1.0, 2.0):
        metrics = training.optimizer.step(loss, data(12, seed=0), Counters())
        measured.append(float(metrics["optimizer/loss"].value))
    assert measured[1] == pytest.approx(2 * measured[0], rel=0.1)


def test_each_loss_function_is_compiled_for_itself_and_a_new_one_in_each_call_is_refused() -> None:
    training = Training(compile=True)

    def doubled(batch: Batch) -> Loss:
        total, count, metrics = training.loss(batch)
        return Loss(2 * total, count, metrics)

    losses = [training.optimizer.step(loss, data(), Counters()) for loss in (training.loss, doubled, training.loss)]
    first, second, third = (float(metrics["optimizer/loss"].value) for metrics in losses)
    assert [second, third] == pytest.approx([2 * first, first], rel=0.1)
    for _ in range(6):
        training.optimizer.step(lambda batch: training.loss(batch), data(), Counters())
    with pytest.raises(RuntimeError, match="is a new one made in each call"):
        training.optimizer.step(lambda batch: training.loss(batch), data(), Counters())


def test_many_models_can_be_compiled_in_one_process() -> None:
    for width in range(1, 11):
        model = nn.Linear(3, 2)
        optimizer = optimizer_for(model, compile=True, learning_rate=width / 100)
        optimizer.step(squared_error(model), data(), Counters())


def test_critics_of_one_value_are_the_same_compiled() -> None:
    batch = {"x": torch.randn(8, 3, generator=torch.Generator().manual_seed(2))}
    made = []
    for compile_ in (False, True):
        weights = torch.Generator().manual_seed(1)
        ensemble = EnsembleMLP(3, NetworkConfig(hidden=(16,)), weights, members=2, outputs=1)

        def loss(batch: Batch, critics: EnsembleMLP = ensemble) -> Loss:
            both, first = critics(batch["x"]), critics(batch["x"], members=1)
            return Loss(both.square().sum() + first.sum(), 8, {})

        config = OptimizerConfig(learning_rate=1e-3, eps=0.1, compile=compile_)
        optimizer = Optimizer(dict(ensemble.named_parameters()), config, until=Budget(10))
        for update in range(3):
            optimizer.step(loss, batch, Counters(updates=update))
        made.append(parameters(optimizer))
    for key, value in made[0].items():
        torch.testing.assert_close(made[1][key], value, rtol=1e-5, atol=1e-6)
