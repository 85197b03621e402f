"""Batch renormalization: torch's batch normalization while it warms up, the paper's correction afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.networks import MLP, EnsembleMLP, NetworkConfig
from training.networks.in_numpy import as_numpy
from training.networks.renormalization import EPS, MOMENTUM, WARM_UP_STEPS, BatchRenorm
from training.seeding import generator


def moved(module: nn.Module) -> nn.Module:
    """With parameters and statistics of its own."""
    rng = generator(3)
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if "steps" not in name:
                value.add_(0.5 * torch.rand(value.shape, generator=rng))
    return module


def test_warming_up_it_is_torchs_batch_normalization_with_the_variance_of_the_batch_as_it_is() -> None:
    ours, theirs = moved(BatchRenorm(5)), nn.BatchNorm1d(5, eps=EPS, momentum=MOMENTUM)
    theirs.load_state_dict(
        {
            "weight": ours.weight,
            "bias": ours.bias,
            "running_mean": ours.mean,
            "running_var": ours.variance,
            "num_batches_tracked": torch.tensor(0),
        }
    )
    values = torch.randn(64, 5, generator=generator(1), requires_grad=True)
    before = ours.variance.clone()
    first, second = ours(values, learns=True), theirs(values)
    torch.testing.assert_close(first, second)
    gradients = [torch.autograd.grad(result.square().sum(), values)[0] for result in (first, second)]
    torch.testing.assert_close(*gradients)
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.variance, before + MOMENTUM * (values.var(0, correction=0) - before))
    theirs.running_var.copy_(ours.variance)
    torch.testing.assert_close(ours(values), theirs.eval()(values))


def test_after_it_the_running_statistics_count_as_far_as_the_bounds_let_them() -> None:
    """Algorithm 1: (x - mean of the batch) / deviation of the batch * r + d, through which no gradient flows."""
    module = moved(BatchRenorm(3)).double()
    module.steps.fill_(WARM_UP_STEPS)
    mean, deviation = module.mean.clone(), (module.variance + EPS).sqrt()
    values = torch.randn(32, 3, generator=generator(1), dtype=torch.float64)
    values = torch.tensor([1.0, 30.0, 1.0]) * values + torch.tensor([0.0, 0.0, 99.0])
    values.requires_grad_()
    own_mean, own_deviation = values.mean(0), (values.var(0, correction=0) + EPS).sqrt()
    r, d = (own_deviation / deviation).detach(), ((own_mean - mean) / deviation).detach()
    assert r[1] > 3.0
    assert d[2] > 5.0
    expected = (values - own_mean) / own_deviation * r.clamp(1 / 3, 3.0) + d.clamp(-5.0, 5.0)
    result = module(values, learns=True)
    torch.testing.assert_close(result, expected * module.weight + module.bias)
    torch.testing.assert_close(
        torch.autograd.grad(result.square().sum(), values)[0],
        torch.autograd.grad((expected * module.weight + module.bias).square().sum(), values)[0],
    )


def test_members_of_an_ensemble_have_statistics_of_their_own() -> None:
    ensemble = EnsembleMLP(3, NetworkConfig((8,), "relu"), generator(1), members=2, outputs=1, renormalized=True)
    values = torch.randn(16, 3, generator=generator(2))
    ensemble(values, learns=True)
    for norm in ensemble.norms:
        assert norm.mean.shape[:2] == (2, 1)
    torch.testing.assert_close(ensemble.norms[0].mean[0], ensemble.norms[0].mean[1])
    assert not torch.equal(ensemble.norms[1].mean[0], ensemble.norms[1].mean[1])
    before = ensemble.norms[1].mean.clone()
    ensemble(values)
    assert torch.equal(ensemble.norms[1].mean, before), "it does not learn unless it is told to"


@pytest.mark.parametrize("outputs", [None, 2])
def test_acting_in_numpy_is_what_the_module_does_without_gradients(outputs: int | None) -> None:
    module = moved(MLP(3, NetworkConfig((8, 8), "relu"), generator(1), outputs=outputs, renormalized=True))
    assert [type(layer).__name__ for layer in module][:4] == ["BatchRenorm", "Linear", "ReLU", "BatchRenorm"]
    values = torch.randn(5, 3, generator=generator(2))
    function = as_numpy(module, 5)
    assert function is not None
    before = {name: value.clone() for name, value in module.named_buffers()}
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(function(values.numpy())), module(values))
    assert all(torch.equal(value, before[name]) for name, value in module.named_buffers())
    module(values)
    assert not torch.equal(module[0].mean, before["0.mean"]), "it learns where gradients are computed"
