from __future__ import annotations

import torch
from torch import nn

from tests.support.generators import seeded
from training.networks import MLP, NetworkConfig

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
