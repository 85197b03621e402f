"""Perceptrons: plain, noisy, dueling, and ensembles of one shape side by side.

Every weight is drawn from the generator that is passed in; the global one is never used.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.core import moved
from training.networks.config import NetworkConfig
from training.networks.initialization import linear
from training.networks.renormalization import BatchRenorm

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}


class MLP(nn.Sequential):
    """A perceptron [..., inputs] -> [..., outputs]; without `outputs` it ends with its last hidden layer's activation.

    Orthogonal with gain sqrt(2), the output layer with `gain` (Huang et al. 2022, The 37 implementation details of PPO,
    detail 2), or, with `gain` None, all of it uniform as torch.nn.Linear. With `noisy_std` all of its linear layers are
    noisy ones. `renormalized` puts batch renormalization
    before every linear layer, and at its end without `outputs`, where one follows; it learns where gradients are
    computed.
    `out_features` is the size of what it returns.
    """

    def __init__(
        self,
        inputs: int,
        config: NetworkConfig,
        generator: Generator,
        *,
        outputs: int | None = None,
        gain: float | None = 1.0,
        noisy_std: float | None = None,
        renormalized: bool = False,
    ) -> None:
        def layer(inputs: int, outputs: int, gain: float | None) -> nn.Module:
            if noisy_std is not None:
                return NoisyLinear(inputs, outputs, noisy_std, generator)
            return linear(inputs, outputs, gain=gain, generator=generator)

        layers: list[nn.Module] = []
        width = inputs
        for hidden in config.hidden:
            if renormalized:
                layers.append(BatchRenorm(width))
            layers.append(layer(width, hidden, None if gain is None else math.sqrt(2.0)))
            if config.layer_norm:
                layers.append(nn.LayerNorm(hidden))
            layers.append(ACTIVATIONS[config.activation]())
            width = hidden
        if renormalized:
            layers.append(BatchRenorm(width))
        if outputs is not None:
            layers.append(layer(width, outputs, gain))
        super().__init__(*layers)
        self.out_features = width if outputs is None else outputs

    def forward(self, values: Tensor) -> Tensor:
        for layer in self:
            if isinstance(layer, BatchRenorm):
                values = layer.forward(values, learns=torch.is_grad_enabled())
            else:
                values = called(layer, values)
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

    Each member begins on its own, uniform as torch.nn.Linear. `renormalized` puts batch renormalization before every
    layer.
    """

    def __init__(
        self,
        inputs: int,
        config: NetworkConfig,
        generator: Generator,
        *,
        members: int,
        outputs: int,
        renormalized: bool = False,
    ) -> None:
        super().__init__()
        each = [MLP(inputs, config, generator, outputs=outputs, gain=None) for _ in range(members)]
        layers = [[layer for layer in member if isinstance(layer, nn.Linear)] for member in each]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.stack([layer.weight.detach().T for layer in of_all]))
            for of_all in zip(*layers, strict=True)
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.stack([layer.bias.detach()[None] for layer in of_all]))
            for of_all in zip(*layers, strict=True)
        )
        self.members, self._activation = members, ACTIVATIONS[config.activation]()
        widths = [weight.shape[1] for weight in self.weights] if renormalized else []
        self.norms = nn.ModuleList(BatchRenorm(width, (members,)) for width in widths)
        normalized = config.hidden if config.layer_norm else ()
        self.layer_norms = nn.ModuleList(_LayerNorms(members, width) for width in normalized)

    def forward(self, values: Tensor, members: int | None = None, *, learns: bool = False) -> Tensor:
        """Of all members or, with `members`, of that many, the first ones. `learns`: the renormalization does."""
        values = values.expand(members or self.members, *values.shape)
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if self.norms:
                values = self.norms[index](values, learns=learns)
            # Such thin batched products take MKL several times as long as a sum that the compiler fuses.
            if weight.shape[-1] == 1 and torch.compiler.is_compiling():
                values = (values * weight[:members].mT).sum(-1, keepdim=True) + bias[:members]
            else:
                values = torch.baddbmm(bias[:members], values, weight[:members])
            if index < last:
                if self.layer_norms:
                    values = self.layer_norms[index](values)
                values = self._activation(values)
        return values


class _LayerNorms(nn.Module):
    """Layer normalization of [members, B, features], with a weight and a bias for each member."""

    def __init__(self, members: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, 1, features))
        self.bias = nn.Parameter(torch.zeros(members, 1, features))

    def forward(self, values: Tensor) -> Tensor:
        members = len(values)
        return F.layer_norm(values, values.shape[-1:]) * self.weight[:members] + self.bias[:members]


def called(module: nn.Module, values: Tensor) -> Tensor:
    """`module(values)`, without the search for hooks that it does not have: that costs more than a small layer."""
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
        hooked: Tensor = module(values)
        return hooked
    if type(module) is nn.Linear:
        return F.linear(values, module.weight, module.bias)
    result: Tensor = module.forward(values)
    return result
