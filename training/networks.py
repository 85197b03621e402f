"""Networks: perceptrons, convolutions, one encoder for any observation space, and normalization of observations.

Every weight is drawn from the generator that is passed in; the global one is never used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.spaces import Space
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.convolutions import CNN, ResidualCNN, to_float
from training.core import UserError, moved, require
from training.initialization import linear

_ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a network. `hidden` are the layers of each perceptron, `cnn` encodes each image."""

    hidden: tuple[int, ...] = (64, 64)
    activation: Literal["tanh", "relu", "silu", "gelu"] = "tanh"
    layer_norm: bool = False
    """Before every activation of a perceptron."""
    cnn: Literal["nature", "small", "residual"] = "nature"
    channels: tuple[int, ...] = (16, 32, 32)
    """Of cnn = 'residual', which halves the image for each of them."""

    def __post_init__(self) -> None:
        require(all(width >= 1 for width in self.hidden), "hidden", self.hidden, "widths of at least 1")
        positive = bool(self.channels) and all(channels >= 1 for channels in self.channels)
        require(positive, "channels", self.channels, "one and more, each at least 1")


class MLP(nn.Sequential):
    """A perceptron [..., inputs] -> [..., outputs]; without `outputs` it ends with its last hidden layer's activation.

    Orthogonal with gain sqrt(2), the output layer with `gain` (Huang et al. 2022, The 37 implementation details of PPO,
    detail 2). With `noisy_std` all of its linear layers are noisy ones.
    `out_features` is the size of what it returns.
    """

    def __init__(
        self,
        inputs: int,
        config: NetworkConfig,
        generator: Generator,
        *,
        outputs: int | None = None,
        gain: float = 1.0,
        noisy_std: float | None = None,
    ) -> None:
        def layer(inputs: int, outputs: int, gain: float) -> nn.Module:
            if noisy_std is not None:
                return NoisyLinear(inputs, outputs, noisy_std, generator)
            return linear(inputs, outputs, gain=gain, generator=generator)

        layers: list[nn.Module] = []
        width = inputs
        for hidden in config.hidden:
            layers.append(layer(width, hidden, math.sqrt(2.0)))
            if config.layer_norm:
                layers.append(nn.LayerNorm(hidden))
            layers.append(_ACTIVATIONS[config.activation]())
            width = hidden
        if outputs is not None:
            layers.append(layer(width, outputs, gain))
        super().__init__(*layers)
        self.out_features = width if outputs is None else outputs

    def forward(self, values: Tensor) -> Tensor:
        for layer in self:
            values = _called(layer, values)
        return values


class NoisyLinear(nn.Module):
    """A linear layer [..., inputs] -> [..., outputs] with learned, factorized noise on its weights (Fortunato et al.
    2018, https://arxiv.org/abs/1706.10295, equations 9 to 11).

    Until `draw_noise` there is none. The noise is in buffers, so that it is saved and published with the weights.
    """

    noise_in: Tensor
    noise_out: Tensor

    def __init__(self, inputs: int, outputs: int, noisy_std: float, generator: Generator) -> None:
        super().__init__()
        bound, std = 1 / math.sqrt(inputs), noisy_std / math.sqrt(inputs)  # section 3.2
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound, generator=generator))
        self.weight_std = nn.Parameter(torch.full((outputs, inputs), std))
        self.bias_std = nn.Parameter(torch.full((outputs,), std))
        self.register_buffer("noise_in", torch.zeros(inputs))
        self.register_buffer("noise_out", torch.zeros(outputs))

    def draw_noise(self, generator: Generator) -> None:
        """New noise, drawn on the CPU on every device."""
        for noise in (self.noise_in, self.noise_out):
            normal = torch.randn(len(noise), generator=generator)
            noise.copy_(moved(normal.sign() * normal.abs().sqrt(), noise.device))

    def noisy_weights(self) -> tuple[Tensor, Tensor]:
        """Weight [outputs, inputs] and bias [outputs] with the present noise."""
        weight = self.weight + self.weight_std * torch.outer(self.noise_out, self.noise_in)
        return weight, self.bias + self.bias_std * self.noise_out

    def forward(self, values: Tensor) -> Tensor:
        return F.linear(values, *self.noisy_weights())


class Dueling(nn.Module):
    """Action values [..., actions * atoms] as a value plus advantages of mean 0 (Wang et al. 2016,
    https://arxiv.org/abs/1511.06581, equation 9), each from a perceptron of its own on [..., inputs].
    """

    def __init__(
        self,
        inputs: int,
        config: NetworkConfig,
        generator: Generator,
        *,
        actions: int,
        atoms: int,
        noisy_std: float | None = None,
    ) -> None:
        super().__init__()
        self.actions, self.atoms = actions, atoms
        self.value = MLP(inputs, config, generator, outputs=atoms, noisy_std=noisy_std)
        self.advantage = MLP(inputs, config, generator, outputs=actions * atoms, noisy_std=noisy_std)

    def forward(self, values: Tensor) -> Tensor:
        advantage = self.advantage.forward(values).unflatten(-1, (self.actions, self.atoms))
        centred = advantage - advantage.mean(-2, keepdim=True)
        result: Tensor = (self.value.forward(values).unsqueeze(-2) + centred).flatten(-2)
        return result


class EnsembleMLP(nn.Module):
    """`members` perceptrons of one shape side by side, [B, inputs] -> [members, B, outputs], each layer at once.

    Initialized like `MLP`, each member on its own.
    """

    def __init__(self, inputs: int, config: NetworkConfig, generator: Generator, *, members: int, outputs: int) -> None:
        super().__init__()
        if config.layer_norm:
            raise UserError("network.layer_norm = True: an ensemble of critics takes False")
        each = [MLP(inputs, config, generator, outputs=outputs) for _ in range(members)]
        layers = [[layer for layer in member if isinstance(layer, nn.Linear)] for member in each]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.stack([layer.weight.detach().T for layer in of_all]))
            for of_all in zip(*layers, strict=True)
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.stack([layer.bias.detach()[None] for layer in of_all]))
            for of_all in zip(*layers, strict=True)
        )
        self.members, self._activation = members, _ACTIVATIONS[config.activation]()

    def forward(self, values: Tensor, members: int | None = None) -> Tensor:
        """Of all members or, with `members`, of that many, the first ones."""
        values = values.expand(members or self.members, *values.shape)
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            # Such thin batched products take MKL several times as long as a sum that the compiler fuses.
            if weight.shape[-1] == 1 and torch.compiler.is_compiling():
                values = (values * weight[:members].mT).sum(-1, keepdim=True) + bias[:members]
            else:
                values = torch.baddbmm(bias[:members], values, weight[:members])
            if index < last:
                values = self._activation(values)
        return values


def _called(module: nn.Module, values: Tensor) -> Tensor:
    """`module(values)`, without the search for hooks that it does not have: that costs more than a small layer."""
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
        hooked: Tensor = module(values)
        return hooked
    if type(module) is nn.Linear:
        return F.linear(values, module.weight, module.bias)
    result: Tensor = module.forward(values)
    return result


class Encoder(nn.Module):
    """One feature vector [..., out_features] from observations {key: [..., *shape]} with any leading shape.

    Features are in the order of `observation_spaces`. uint8 arrays of two to four dimensions are images (see CNN);
    other arrays are flattened, uint8 scaled by 1/255; Discrete and every part of MultiDiscrete become one-hot vectors;
    MultiBinary becomes 0.0 and 1.0.
    Raises UserError for any other space, naming its key.
    """

    def __init__(
        self, observation_spaces: Mapping[str, Space[object]], config: NetworkConfig, generator: Generator
    ) -> None:
        super().__init__()
        encoders = {key: _encoder(key, space, config, generator) for key, space in observation_spaces.items()}
        self.encoders = nn.ModuleDict(encoders)
        self.out_features = sum(int(encoder.out_features) for encoder in encoders.values())

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        features = [_called(encoder, observations[key]) for key, encoder in self.encoders.items()]
        return features[0] if len(features) == 1 else torch.cat(features, dim=-1)


class Flat(nn.Module):
    """An array of numbers [..., *shape] -> [..., out_features] float32."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, self.out_features = shape, math.prod(shape)

    def forward(self, values: Tensor) -> Tensor:
        if len(self.shape) == 1:
            return to_float(values)
        leading = values.shape[: values.dim() - len(self.shape)]
        return to_float(values.reshape(*leading, self.out_features))


class OneHot(nn.Module):
    """Integers [..., *shape], the i-th in [starts[i], starts[i] + sizes[i]) -> their one-hot vectors side by side."""

    offsets: Tensor

    def __init__(self, sizes: np.ndarray, starts: np.ndarray) -> None:
        super().__init__()
        self.shape, self.out_features = sizes.shape, int(sizes.sum())
        # The column of each integer's first value, so that one scatter writes all of them.
        offsets = np.concatenate(([0], np.cumsum(sizes.ravel())[:-1])) - starts.ravel()
        self.register_buffer("offsets", torch.as_tensor(offsets, dtype=torch.int64), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        leading = values.shape[: values.dim() - len(self.shape)]
        columns = values.reshape(*leading, -1).long() + self.offsets
        return torch.zeros(*leading, self.out_features, device=values.device).scatter_(-1, columns, 1.0)


def _encoder(
    key: str, space: Space[object], config: NetworkConfig, generator: Generator
) -> CNN | ResidualCNN | Flat | OneHot:
    if isinstance(space, spaces.Box):
        if space.dtype == np.uint8 and 2 <= len(space.shape) <= 4:
            return (ResidualCNN if config.cnn == "residual" else CNN)(space.shape, config, generator)
        return Flat(space.shape)
    if isinstance(space, spaces.MultiBinary):
        return Flat(space.shape)
    if isinstance(space, spaces.Discrete):
        return OneHot(np.array(space.n), np.array(space.start))
    if isinstance(space, spaces.MultiDiscrete):
        return OneHot(space.nvec, space.start)
    raise UserError(f"observation {key!r}: {space} has no encoder; it takes Box, Discrete, MultiDiscrete, MultiBinary")


class Normalizer(nn.Module):
    """Shifts and scales [..., *shape] by the mean and variance of everything it was updated with, clipped to +-10.

    Before the first update it changes nothing. `epsilon` is added to the variance. Only `update` moves the statistics;
    they are float64 buffers, so that they are saved with the network.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, *shape: int, epsilon: float = 1e-8) -> None:
        super().__init__()
        self._epsilon = epsilon
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(shape, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, values: Tensor) -> None:
        """Takes in a batch [..., *shape]: the parallel algorithm of Chan, Golub and LeVeque (1979)."""
        rows = values.reshape(-1, *self.mean.shape).double()
        if rows.shape[0] == 0:
            return
        count = self.count + rows.shape[0]
        delta = rows.mean(0) - self.mean
        squares = self.variance * self.count + rows.var(0, correction=0) * rows.shape[0]
        squares += delta.square() * (self.count * rows.shape[0] / count)
        self.mean += delta * (rows.shape[0] / count)
        self.variance.copy_(squares / count)
        self.count.copy_(count)

    def forward(self, values: Tensor) -> Tensor:
        normalized = (values.double() - self.mean) * torch.rsqrt(self.variance + self._epsilon)
        return torch.where(self.count > 0, normalized.clamp(-10.0, 10.0), values).float()
