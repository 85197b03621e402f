"""Perceptrons for `perceptrons.hpp`: their shapes, and where torch keeps their numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

ACTIVATIONS = {nn.Tanh: True, nn.ReLU: False}
"""Those that it knows, and whether they are tanh."""
MOST_OUTPUTS = 512
"""Of a layer: the products of wider ones take torch less time."""


class Shape(NamedTuple):
    """A perceptron that it computes."""

    inputs: int
    hidden: tuple[int, ...]
    outputs: int
    is_tanh: bool

    def arguments(self) -> tuple[int, int, Any, int, int]:
        """As its functions take them."""
        hidden = (ctypes.c_int32 * len(self.hidden))(*self.hidden)
        return self.inputs, len(self.hidden), hidden, self.outputs, self.is_tanh


TAKEN: list[Any] = [ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32]
"""The types of these arguments."""


def shape_of(perceptron: Iterable[nn.Module]) -> Shape | None:
    """The shape of a perceptron; None where it has layers of another kind, or wide ones."""
    layers = list(perceptron)
    linear = [layer for layer in layers if type(layer) is nn.Linear]
    kinds = {type(layer) for layer in layers} - {nn.Linear}
    if len(kinds) > 1 or not kinds <= set(ACTIVATIONS) or any(layer.out_features > MOST_OUTPUTS for layer in linear):
        return None
    *hidden, outputs = [layer.out_features for layer in linear]
    return Shape(linear[0].in_features, tuple(hidden), outputs, kinds <= {nn.Tanh})


def parameters_of(perceptron: Iterable[nn.Module]) -> list[nn.Parameter]:
    """The weight and the bias of each of its layers, in the order in which its functions take them."""
    return [parameter for layer in perceptron if isinstance(layer, nn.Linear) for parameter in layer.parameters()]


class Parameter(ctypes.Structure):
    """A parameter and Adam's moments."""

    _fields_ = (("value", ctypes.c_void_p), ("mean", ctypes.c_void_p), ("square", ctypes.c_void_p))


def pointers(
    parameters: Sequence[Tensor], means: Sequence[Tensor] = (), squares: Sequence[Tensor] = ()
) -> ctypes.Array[Parameter]:
    """The parameters as its functions take them, with moments where they are trained."""
    nothing = [None] * len(parameters)
    each = zip(parameters, means or nothing, squares or nothing, strict=True)
    return (Parameter * len(parameters))(*[Parameter(*map(address, tensors)) for tensors in each])


def address(numbers: Tensor | NDArray[Any] | None) -> int | None:
    """Where numbers begin that lie one after another."""
    if numbers is None:
        return None
    if isinstance(numbers, np.ndarray):
        assert numbers.flags.c_contiguous
        return numbers.ctypes.data
    assert numbers.is_contiguous()
    return numbers.data_ptr()
