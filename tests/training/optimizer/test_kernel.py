"""An optimizer whose updates are made by a kernel: what the two tell each other."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from training.core import Batch, Budget, Counters
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.optimizer.kernel import Made, Moments
from training.optimizer.non_finite import NonFinite

CONFIG = OptimizerConfig(learning_rate=0.1, max_grad_norm=0.5, schedule=Schedule("linear"))
NOW = Counters(updates=3, env_steps=25)


def made() -> tuple[Optimizer, dict[str, nn.Parameter]]:
    parameters = {"a": nn.Parameter(torch.tensor([1.0, -2.0])), "b": nn.Parameter(torch.tensor([[0.5]]))}
    return Optimizer(parameters, CONFIG, until=Budget(100, "env_steps")), parameters


def squares(parameters: dict[str, nn.Parameter], data: Batch) -> Loss:
    total = sum((value - data["target"].mean()).square().sum() for value in parameters.values())
    assert isinstance(total, Tensor)
    return Loss(total * len(data["target"]), len(data["target"]), {})


def adam(moments: Moments, values: list[nn.Parameter], gradients: list[Tensor], step: int) -> float:
    """One step of Adam, written as in the paper."""
    norm = float(torch.cat([gradient.flatten() for gradient in gradients]).norm())
    scale = min(1.0, (moments.max_grad_norm or math.inf) / (norm + 1e-6))
    (beta1, beta2), count = moments.betas, moments.steps + step + 1
    with torch.no_grad():
        for value, mean, square, gradient in zip(values, moments.means, moments.squares, gradients, strict=True):
            mean.lerp_(gradient * scale, 1 - beta1)
            square.mul_(beta2).add_((1 - beta2) * (gradient * scale).square())
            corrected = (square / (1 - beta2**count)).sqrt() + moments.eps
            value -= moments.learning_rate * mean / (1 - beta1**count) / corrected
    return norm


def test_a_kernels_updates_are_the_optimizers_own() -> None:
    optimizer, parameters = made()
    plain, others = made()
    targets = [torch.tensor([0.3, 0.1]), torch.tensor([0.4])]
    order = [parameters["b"], parameters["a"]]  # its own

    def kernel(moments: Moments) -> Made:
        rows = []
        for step, target in enumerate(targets):
            loss = squares(parameters, {"target": target})
            gradients = torch.autograd.grad(loss.sum / loss.count, order)
            norm = adam(moments, order, list(gradients), step)
            rows.append([float(loss.sum / loss.count), norm, float(target.mean())])
        measured = torch.tensor(rows, dtype=torch.float64)
        return Made(2, [len(target) for target in targets], measured, torch.zeros(2), ["target"])

    for _ in range(2):
        told = optimizer.steps_by(kernel, order, NOW)
        own = [plain.step(lambda data: squares(others, data), {"target": target}, NOW) for target in targets]
    for value, other in zip(parameters.values(), others.values(), strict=True):
        torch.testing.assert_close(value, other)
    moments, expected = (one.state_dict()["moments"] for one in (optimizer, plain))
    for name, kept in moments.items():
        assert float(kept["step"]) == float(expected[name]["step"]) == 4
        torch.testing.assert_close(kept["exp_avg"], expected[name]["exp_avg"])
    loss, rate = told["optimizer/loss"], told["optimizer/learning_rate"]
    assert loss.value == pytest.approx(sum(float(one["optimizer/loss"].value) for one in own) / 2)
    assert rate == own[0]["optimizer/learning_rate"]
    assert told["target"].value == pytest.approx((0.3 + 0.1 + 0.4) / 3)  # of all samples
    assert told["target"].weight == 3  # type: ignore[union-attr]


def test_an_update_that_was_not_made_is_named() -> None:
    optimizer, parameters = made()

    def kernel(_: Moments) -> Made:
        measured = torch.tensor([[1.0, 1.0], [math.inf, 1.0], [0.0, 0.0]], dtype=torch.float64)
        return Made(1, [4, 4, 4], measured, torch.tensor([math.nan, 1.0]), [])

    with pytest.raises(NonFinite, match=r"^update 4: the loss is inf; the norm of the gradient is not finite for b$"):
        optimizer.steps_by(kernel, [parameters["b"], parameters["a"]], NOW)
    assert float(optimizer.state_dict()["moments"]["a"]["step"]) == 1
