"""How layers begin: orthogonal or uniform, from one generator, whatever the threads."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, nn

from tests.support.generators import seeded
from training.networks import MLP, EnsembleMLP, NetworkConfig
from training.networks.convolutions import CNN
from training.networks.initialization import linear

CONFIG = NetworkConfig()


def test_weights_are_orthogonal_with_their_gain_and_biases_zero() -> None:
    mlp = MLP(64, CONFIG, seeded(), outputs=4, gain=0.01)
    hidden, output = mlp[2], mlp[4]
    torch.testing.assert_close(hidden.weight @ hidden.weight.T, 2.0 * torch.eye(64), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(output.weight @ output.weight.T, 1e-4 * torch.eye(4), rtol=0.0, atol=1e-8)
    assert all(not layer.bias.any() for layer in (hidden, output))
    filters = CNN((36, 36, 3), CONFIG, seeded()).layers[0].weight.flatten(1)
    torch.testing.assert_close(filters @ filters.T, 2.0 * torch.eye(32), rtol=0.0, atol=1e-5)


def test_without_a_gain_they_are_uniform_as_torchs_own() -> None:
    mlp, torchs = MLP(64, CONFIG, seeded(), outputs=4, gain=None), nn.Linear(64, 64)
    for layer in (mlp[0], mlp[2], mlp[4]):
        for values in (layer.weight, layer.bias):
            assert values.abs().max() <= 1 / 8
            assert values.min() < 0 < values.max()
    assert mlp[2].weight.std().item() == pytest.approx(torchs.weight.std().item(), rel=0.05)
    ensemble = EnsembleMLP(64, CONFIG, seeded(), members=2, outputs=1)
    assert all(0.5 / 8 < weight.abs().max() <= 1 / 8 for weight in ensemble.weights)


def build(generator: Generator) -> nn.Module:
    config = NetworkConfig(cnn="small")
    image = CNN((8, 8), config, generator)
    return nn.Sequential(image, MLP(image.out_features, config, generator, outputs=2))


def test_weights_come_from_the_given_generator_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = build(seeded(5)).state_dict()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    again, other = build(seeded(5)).state_dict(), build(seeded(6)).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["1.0.weight"], other["1.0.weight"])
    assert linear(1, 1, gain=3.0, generator=seeded()).weight.abs().item() == pytest.approx(3.0)


def test_initial_weights_do_not_depend_on_the_threads_that_make_them() -> None:
    before, networks = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            networks.append(MLP(4, NetworkConfig(hidden=(256, 256)), seeded(), outputs=2))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one, two)
