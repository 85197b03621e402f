"""Perceptrons: their layers, learned noise, dueling heads, and ensembles that stay separate."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.support.generators import seeded
from tests.support.transitions import NETWORK, spread
from training.networks import MLP, Dueling, EnsembleMLP, NetworkConfig, NoisyLinear
from training.seeding import generator

CONFIG = NetworkConfig()


def test_a_perceptron_has_the_layers_of_its_config() -> None:
    config = NetworkConfig(hidden=(8, 6), activation="silu", layer_norm=True)
    mlp = MLP(3, config, seeded(), outputs=2)
    kinds = [type(layer) for layer in mlp]
    assert kinds == [nn.Linear, nn.LayerNorm, nn.SiLU, nn.Linear, nn.LayerNorm, nn.SiLU, nn.Linear]
    assert mlp(torch.zeros(5, 4, 3)).shape == (5, 4, 2)
    torso = MLP(3, CONFIG, seeded())
    assert (type(torso[-1]), torso.out_features) == (nn.Tanh, 64)
    assert MLP(3, NetworkConfig(hidden=()), seeded()).out_features == 3


def test_a_noisy_layer_is_equations_9_to_11() -> None:
    layer = NoisyLinear(4, 3, 0.5, generator(1))
    values = torch.randn(5, 4, generator=generator(2))
    torch.testing.assert_close(layer(values), values @ layer.weight.T + layer.bias)
    layer.draw_noise(generator(3))
    rng = generator(3)
    drawn = [torch.randn(4, generator=rng), torch.randn(3, generator=rng)]
    noise_in, noise_out = (value.sign() * value.abs().sqrt() for value in drawn)
    weight = layer.weight + layer.weight_std * noise_out[:, None] * noise_in[None]
    torch.testing.assert_close(layer(values), values @ weight.T + layer.bias + layer.bias_std * noise_out)
    assert layer.weight_std.detach().numpy() == pytest.approx(0.5 / 2)


def test_dueling_advantages_have_mean_zero() -> None:
    network = spread(Dueling(3, NETWORK, generator(1), actions=4, atoms=2))
    values = torch.randn(6, 3, generator=generator(2))
    found = network(values).unflatten(-1, (4, 2))
    torch.testing.assert_close(found.mean(1), network.value(values))
    advantage = network.advantage(values).unflatten(-1, (4, 2))
    torch.testing.assert_close(found - found.mean(1, keepdim=True), advantage - advantage.mean(1, keepdim=True))


@pytest.mark.parametrize(("outputs", "network"), [(1, NETWORK), (2, NETWORK), (2, replace(NETWORK, layer_norm=True))])
def test_an_ensemble_begins_as_separate_perceptrons_and_stays_separate(outputs: int, network: NetworkConfig) -> None:
    ensemble = EnsembleMLP(3, network, generator(1), members=2, outputs=outputs)
    rng = generator(1)
    apart = [MLP(3, network, rng, outputs=outputs, gain=None) for _ in range(2)]
    values = torch.randn(6, 3, generator=generator(2))
    found = ensemble(values)
    assert found.shape == (2, 6, outputs)
    for member, alone in enumerate(apart):
        torch.testing.assert_close(found[member], alone(values))
    torch.testing.assert_close(ensemble(values, members=1), found[:1])
    found[0].sum().backward()
    moved = [parameter.grad for parameter in ensemble.parameters()]
    assert all(grad is None or grad.abs().sum() > 0 for grad in moved)
    with torch.no_grad():
        for parameter in ensemble.parameters():
            if parameter.grad is not None:
                parameter -= parameter.grad
    torch.testing.assert_close(ensemble(values)[1], found[1].detach())
    assert not torch.allclose(ensemble(values)[0], found[0])
