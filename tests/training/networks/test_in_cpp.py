"""Which perceptrons are computed in C++, and as what shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from training.networks import MLP, NetworkConfig
from training.networks.in_cpp import MOST_OUTPUTS, Parameter, address, parameters_of, pointers, shape_of
from training.seeding import generator


def perceptron(config: NetworkConfig, **more: float) -> MLP:
    return MLP(3, config, generator(1, "weights"), outputs=2, **more)  # type: ignore[arg-type]


def test_a_perceptron_has_a_shape() -> None:
    assert shape_of(perceptron(NetworkConfig((5, 7)))) == (3, (5, 7), 2, True)
    assert shape_of(perceptron(NetworkConfig((5,), "relu"))) == (3, (5,), 2, False)
    assert shape_of(perceptron(NetworkConfig(()))) == (3, (), 2, True)


@pytest.mark.parametrize(
    "network",
    [
        perceptron(NetworkConfig((5,), "gelu")),
        perceptron(NetworkConfig((5,), layer_norm=True)),
        perceptron(NetworkConfig((MOST_OUTPUTS + 1,))),
        perceptron(NetworkConfig((5,)), noisy_std=0.5),
        [nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 2)],
    ],
)
def test_what_is_no_plain_perceptron_has_none(network: MLP) -> None:
    assert shape_of(network) is None


def test_parameters_are_handed_on_where_they_are() -> None:
    network = perceptron(NetworkConfig((5,)))
    parameters = parameters_of(network)
    assert [tuple(parameter.shape) for parameter in parameters] == [(5, 3), (5,), (2, 5), (2,)]
    handed: list[Parameter] = list(pointers(parameters))
    assert [one.value for one in handed] == [parameter.data_ptr() for parameter in parameters]
    assert [one.mean for one in handed] == [None] * 4
    moments = [torch.zeros(1) for _ in parameters]
    assert [one.square for one in pointers(parameters, moments, moments)] == [one.data_ptr() for one in moments]


def test_only_numbers_one_after_another_have_an_address() -> None:
    assert address(None) is None
    for numbers in (torch.zeros(4, 4), np.zeros((4, 4))):
        assert address(numbers)
        with pytest.raises(AssertionError):
            address(numbers.T)
