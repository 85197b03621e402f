"""How layers begin: orthogonal or uniform, from the generator that is passed in and never from the global one."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.random import fork_rng


def linear(inputs: int, outputs: int, *, gain: float | None, generator: Generator) -> nn.Linear:
    """A linear layer, orthogonal with `gain`, its bias zero; None: uniform, weight and bias, as torch.nn.Linear's."""
    with fork_rng(devices=[]):  # the layer's own initialization draws from the global generator
        layer = nn.Linear(inputs, outputs)
    if gain is None:
        bound = 1 / math.sqrt(inputs)
        nn.init.uniform_(layer.weight, -bound, bound, generator)
        nn.init.uniform_(layer.bias, -bound, bound, generator)
    else:
        initialize(layer, gain, generator)
    return layer


def initialize(layer: nn.Linear | nn.Conv2d, gain: float, generator: Generator) -> None:
    """Makes the weight orthogonal with `gain` and the bias zero."""
    initialize_orthogonal(layer.weight, gain, generator)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


def initialize_orthogonal(weight: Tensor, gain: float, generator: Generator) -> None:
    """Makes a weight an orthogonal matrix times `gain`; the dimensions after the first count as one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the last bits of an orthogonal matrix depend on how many make it
    try:
        nn.init.orthogonal_(weight, gain, generator)
    finally:
        torch.set_num_threads(threads)
