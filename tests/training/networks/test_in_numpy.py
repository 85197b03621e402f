"""Networks as NumPy functions against the modules that they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from training.networks import MLP, Encoder, NetworkConfig, Normalizer
from training.networks.in_numpy import as_numpy, encoder_as_numpy, normalizer_as_numpy
from training.seeding import generator

SMALL = NetworkConfig(hidden=(16, 8), cnn="small")


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_perceptron_is_the_modules_and_follows_its_weights(activation: Any, layer_norm: bool) -> None:
    config = NetworkConfig(hidden=(16, 8), activation=activation, layer_norm=layer_norm)
    network = MLP(3, config, generator(1), outputs=2)
    function = as_numpy(network, 7)
    assert function is not None
    values = torch.randn(7, 3, generator=generator(2))
    for _ in range(2):
        kept = values.clone()
        torch.testing.assert_close(torch.from_numpy(function(values.numpy())), network(values).detach())
        assert torch.equal(values, kept)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.5)


def test_what_numpy_does_not_compute_is_left_to_torch() -> None:
    for activation in ("silu", "gelu"):
        assert as_numpy(MLP(3, NetworkConfig(activation=activation), generator(1)), 7) is None
    picture = Encoder({"obs": spaces.Box(0, 255, (8, 8, 1), np.uint8)}, SMALL, generator(1))
    assert encoder_as_numpy(picture, 7) is None
    layer = nn.Linear(64, 64)
    assert as_numpy(layer, 64) is not None
    assert as_numpy(layer, 65) is None

    class Doubled(nn.Linear):
        """A layer that was put in the place of another."""

    network = MLP(3, SMALL, generator(1), outputs=2)
    network[-1] = Doubled(8, 2)
    assert as_numpy(network, 7) is None


def test_every_kind_of_number_is_encoded_as_the_module_does() -> None:
    of = {
        "obs/a": spaces.Box(-1, 1, (2,)),
        "obs/b": spaces.Box(-1, 1, (2, 2)),
        "obs/c": spaces.Box(0, 255, (3,), np.uint8),
        "obs/d": spaces.Discrete(3),
        "obs/e": spaces.MultiDiscrete([2, 3]),
        "obs/f": spaces.MultiDiscrete([[2, 2], [2, 3]]),
        "obs/g": spaces.MultiBinary([2, 2]),
        "obs/h": spaces.Box(-1, 1, ()),
    }
    encoder = Encoder(of, SMALL, generator(1))
    for space in of.values():
        space.seed(1)
    observations = {key: np.stack([np.asarray(space.sample()) for _ in range(6)]) for key, space in of.items()}
    function = encoder_as_numpy(encoder, 6)
    assert function is not None
    expected = encoder({key: torch.from_numpy(value) for key, value in observations.items()})
    torch.testing.assert_close(torch.from_numpy(function(observations)), expected)


def test_normalization_is_the_modules_and_stays_as_it_was() -> None:
    normalizer = Normalizer(3)
    values = 5 + 30 * torch.randn(40, 3, generator=generator(1))
    for _ in range(2):
        function = normalizer_as_numpy(normalizer)
        before = torch.from_numpy(function(values.numpy()))
        torch.testing.assert_close(before, normalizer(values))
        normalizer.update(values + 100)
        torch.testing.assert_close(torch.from_numpy(function(values.numpy())), before)
