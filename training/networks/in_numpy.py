"""Networks as NumPy functions on views of their weights: for acting, one step of a few environments at a time.

There the bookkeeping of torch takes several times as long as the arithmetic of a small network. Results differ from the
module's in the last bits. The weights of a module on a GPU are copied once: a step there would cost more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from training.networks.encoder import Encoder, Flat, OneHot
from training.networks.normalizer import Normalizer
from training.networks.perceptrons import MLP, Dueling, NoisyLinear
from training.networks.recurrent import Memory
from training.networks.renormalization import BatchRenorm
from training.networks.transformer_memory import TransformerMemory

Array = NDArray[Any]
Function = Callable[[Array], Array]

MOST_MULTIPLICATIONS = 2**18
"""In one layer: up to there NumPy's matrix product (OpenBLAS) uses one thread, and is faster than torch's."""


def as_numpy(module: nn.Module, rows: int) -> Function | None:
    """The module as it is now, for inputs [rows, ...]; None where torch computes it better or NumPy cannot.

    On the CPU changes of its weights in place are seen. An activation may overwrite its input, which the layer before
    it made.
    """
    if type(module) is nn.Linear:
        if rows * module.weight.numel() > MOST_MULTIPLICATIONS:
            return None
        return partial(_linear, _array(module.weight).T, _array(module.bias))
    if isinstance(module, NoisyLinear):
        weight, bias = module.noisy_weights()  # with the noise that it has now: later changes are not seen
        fits = rows * weight.numel() <= MOST_MULTIPLICATIONS
        return partial(_linear, _array(weight).T, _array(bias)) if fits else None
    if isinstance(module, Dueling):
        value, advantage = as_numpy(module.value, rows), as_numpy(module.advantage, rows)
        if value is None or advantage is None:
            return None
        return partial(_dueling, value, advantage, (module.actions, module.atoms))
    if type(module) is nn.LayerNorm:
        return partial(_layer_norm, _array(module.weight), _array(module.bias), module.eps)
    if isinstance(module, BatchRenorm):
        return partial(_affine, *map(_array, module.affine()))  # with the statistics that it has now
    if isinstance(module, MLP):
        layers = [as_numpy(layer, rows) for layer in module]
        return partial(_in_turn, [layer for layer in layers if layer]) if all(layers) else None
    if isinstance(module, Flat):
        return partial(_flat, module.shape)
    if isinstance(module, OneHot):
        return partial(_one_hot, _array(module.offsets), module.out_features)
    return _ACTIVATIONS.get(type(module))


def encoder_as_numpy(encoder: Encoder, rows: int) -> Callable[[Mapping[str, Array]], Array] | None:
    """`as_numpy` of an encoder, which takes named observations. None for somebody's own."""
    if encoder.own is not None:
        return None
    functions = {key: as_numpy(part, rows) for key, part in encoder.encoders.items()}
    known = [(key, function) for key, function in functions.items() if function is not None]
    return partial(_side_by_side, known) if len(known) == len(functions) else None


def normalizer_as_numpy(normalizer: nn.Module) -> Function:
    """A Normalizer with the statistics that it has now."""
    statistics = mean_and_scale(normalizer)
    return partial(_normalized, *statistics) if statistics else partial(np.asarray, dtype=np.float32)


def mean_and_scale(normalizer: nn.Module) -> tuple[Array, Array] | None:
    """Copies of a Normalizer's mean and of what it multiplies with, as they are now; None where it has seen nothing."""
    assert isinstance(normalizer, Normalizer)
    if normalizer.count == 0:
        return None
    return _array(normalizer.mean).copy(), 1 / np.sqrt(_array(normalizer.variance) + 1e-8)


def memory_as_numpy(memory: Memory | TransformerMemory, rows: int) -> Callable[[Array, Array, Array], Array] | None:
    """One step of a memory: features [rows, F], is_first [rows] and the state before -> the state [rows, P, size].

    What the memory puts out is the first part of that state. None where torch computes it better.
    """
    if isinstance(memory, TransformerMemory):
        return None
    cell = memory.cell
    if rows * max(weight.numel() for weight in cell.parameters()) > MOST_MULTIPLICATIONS:
        return None
    step = _lstm if isinstance(cell, nn.LSTM) else _gru
    weights = {key: _array(weight) for key, weight in cell.named_parameters()}
    of_input = partial(_linear, weights["weight_ih_l0"].T, weights["bias_ih_l0"])
    of_hidden = partial(_linear, weights["weight_hh_l0"].T, weights["bias_hh_l0"])
    return partial(_remember, step, of_input, of_hidden)


def _array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().cpu().numpy()
    return array


_ACTIVATIONS: dict[type[nn.Module], Function] = {
    nn.Tanh: lambda values: np.tanh(values, out=values),
    nn.ReLU: lambda values: np.maximum(values, 0.0, out=values),
}


def _linear(weight: Array, bias: Array, values: Array) -> Array:
    result: Array = values @ weight
    result += bias
    return result


def _dueling(value: Function, advantage: Function, shape: tuple[int, int], values: Array) -> Array:
    advantages = advantage(values).reshape(len(values), *shape)
    centred = advantages - advantages.mean(-2, keepdims=True)
    result: Array = (value(values)[:, None] + centred).reshape(len(values), -1)
    return result


def _affine(scale: Array, shift: Array, values: Array) -> Array:
    result: Array = values * scale
    result += shift
    return result


def _layer_norm(weight: Array, bias: Array, eps: float, values: Array) -> Array:
    centred = values - values.mean(-1, keepdims=True)
    variance = np.square(centred).mean(-1, keepdims=True)
    result: Array = centred / np.sqrt(variance + np.float32(eps)) * weight + bias
    return result


def _remember(
    step: Callable[[Array, Array, Array], Array],
    of_input: Function,
    of_hidden: Function,
    features: Array,
    is_first: Array,
    state: Array,
) -> Array:
    if is_first.any():
        state = np.where(is_first[:, None, None], np.float32(0), state)
    return step(of_input(features), of_hidden(state[:, 0]), state)


def _lstm(of_input: Array, of_hidden: Array, state: Array) -> Array:
    """torch.nn.LSTM: the gates are i, f, g, o; c' = f * c + i * g and h' = o * tanh(c')."""
    of_input += of_hidden
    size = state.shape[-1]
    candidate = np.tanh(of_input[:, 2 * size : 3 * size])
    gates = _sigmoid(of_input)
    after = np.empty_like(state)
    cell = np.multiply(gates[:, size : 2 * size], state[:, 1], out=after[:, 1])
    cell += gates[:, :size] * candidate
    np.multiply(gates[:, 3 * size :], np.tanh(cell), out=after[:, 0])
    return after


def _gru(of_input: Array, of_hidden: Array, state: Array) -> Array:
    """torch.nn.GRU: the gates are r, z, n; n = tanh(x_n + r * h_n) and h' = (1 - z) * n + z * h."""
    size = state.shape[-1]
    gates = _sigmoid(of_input[:, : 2 * size] + of_hidden[:, : 2 * size])
    reset, update = gates[:, :size], gates[:, size:]
    candidate = np.tanh(of_input[:, 2 * size :] + reset * of_hidden[:, 2 * size :])
    after: Array = (candidate + update * (state[:, 0] - candidate))[:, None]
    return after


def _sigmoid(values: Array) -> Array:
    """In a form that cannot overflow."""
    result: Array = np.tanh(values * np.float32(0.5))
    result += np.float32(1)
    result *= np.float32(0.5)
    return result


def _in_turn(layers: Sequence[Function], values: Array) -> Array:
    for layer in layers:
        values = layer(values)
    return values


def _side_by_side(parts: Sequence[tuple[str, Function]], observations: Mapping[str, Array]) -> Array:
    features = [encode(observations[key]) for key, encode in parts]
    return features[0] if len(features) == 1 else np.concatenate(features, axis=-1)


def _flat(shape: tuple[int, ...], values: Array) -> Array:
    if len(shape) != 1:
        values = values.reshape(len(values), -1)
    if values.dtype == np.uint8:
        return values.astype(np.float32) / np.float32(255)
    return values.astype(np.float32, copy=False)


def _one_hot(offsets: Array, features: int, values: Array) -> Array:
    columns = values.reshape(len(values), -1) + offsets.reshape(-1)
    result = np.zeros((len(values), features), np.float32)
    np.put_along_axis(result, columns, 1.0, axis=-1)
    return result


def _normalized(mean: Array, scale: Array, values: Array) -> Array:
    normalized: Array = np.clip((values - mean) * scale, -10.0, 10.0).astype(np.float32)
    return normalized
