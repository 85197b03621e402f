"""Large products through oneDNN: the same numbers, whatever the sizes seen before."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from training.core import Batch, Budget, Counters
from training.networks import EnsembleMLP, NetworkConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig, large_products


def parameters(optimizer: Optimizer) -> dict[str, torch.Tensor]:
    return {key: value.detach() for key, value in optimizer.parameters.items()}


@pytest.fixture
def through_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where this processor is slower by it."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(large_products, "are_faster", lambda: True)


@pytest.mark.full
@pytest.mark.usefixtures("through_onednn")
def test_large_products_are_the_same_through_onednn() -> None:
    """Of single layers, with and without bias, and of the members of an ensemble: forwards and backwards."""

    def model() -> nn.Module:
        weights = torch.Generator().manual_seed(1)
        ensemble = EnsembleMLP(256, NetworkConfig(hidden=(256,)), weights, members=2, outputs=256)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return nn.Sequential(nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 256, bias=False), ensemble)

    def loss_of(network: nn.Module) -> Any:
        def loss(batch: Batch) -> Loss:
            return Loss(network(batch["x"]).square().sum(), batch["x"].shape[0], {})

        return loss

    batch = {"x": torch.randn(256, 256, generator=torch.Generator().manual_seed(2))}
    optimizers = []
    for compile_ in (False, True):
        network = model()
        config = OptimizerConfig(learning_rate=1e-3, eps=0.1, compile=compile_)  # no gradient near 0 is blown up
        optimizer, loss = Optimizer(dict(network.named_parameters()), config, until=Budget(10)), loss_of(network)
        optimizer.step(loss, batch, Counters())
        with torch.profiler.profile() as profile:
            optimizer.step(loss, batch, Counters(updates=1))
        calls = sum(event.count for event in profile.key_averages() if event.key == "mkldnn::_linear_pointwise")
        # Of the first layer the outputs and the weights' gradient; of the second, and of both layers of both members,
        # that of the inputs too.
        assert calls == (2 + 3 + 2 * 2 * 3 if compile_ else 0)
        optimizers.append(optimizer)
    eager, compiled = (parameters(optimizer) for optimizer in optimizers)
    for key, value in eager.items():
        torch.testing.assert_close(compiled[key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("through_onednn")
def test_large_products_do_not_depend_on_the_sizes_seen_before() -> None:
    """The end of an epoch has fewer rows; a run that begins anew after it makes the same updates to the bit."""
    batches = [{"x": torch.randn(rows, 256, generator=torch.Generator().manual_seed(rows))} for rows in (256, 37, 256)]

    def begun() -> tuple[Optimizer, Any]:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            network = nn.Sequential(nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 256, bias=False))
        optimizer = Optimizer(
            dict(network.named_parameters()), OptimizerConfig(learning_rate=1e-3, compile=True), until=Budget(10)
        )
        return optimizer, lambda batch: Loss(network(batch["x"]).square().sum(), batch["x"].shape[0], {})

    whole, loss = begun()
    for number, batch in enumerate(batches):
        before = copy.deepcopy((parameters(whole), whole.state_dict()))
        whole.step(loss, batch, Counters(updates=number))
    torch._dynamo.reset()  # as in a new process
    resumed, loss = begun()
    with torch.no_grad():
        for key, value in parameters(resumed).items():
            value.copy_(before[0][key])
    resumed.load_state_dict(before[1])
    resumed.step(loss, batches[-1], Counters(updates=2))
    for key, value in parameters(whole).items():
        assert torch.equal(parameters(resumed)[key], value)
