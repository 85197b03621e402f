"""Convolutions over images: two plain networks, and the residual one of IMPALA."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.random import fork_rng

from training.errors import UserError
from training.networks.config import NetworkConfig
from training.networks.initialization import initialize, linear

# Convolutions as (channels, kernel, stride), then the features of the linear layer after them.
_CNNS = {
    "nature": (((32, 8, 4), (64, 4, 2), (64, 3, 1)), 512),  # Mnih et al. 2015, Methods; images from 36 x 36
    "small": (((16, 3, 1), (32, 3, 2)), 128),  # for grids and thumbnails, from 5 x 5
    "minatar": (((16, 3, 1),), 128),  # Young and Tian 2019, examples/dqn.py; from 3 x 3
}


class CNN(nn.Module):
    """Convolutions over an image [..., *shape] -> [..., out_features], with ReLU; uint8 is scaled by 1/255.

    `shape` is [H, W], [H, W, C], [C, H, W], or a stack of those [K, ...]; the channels are the smaller of the first
    and last of the image's three sizes, the last when they are equal. Stacked frames become channels. Orthogonal with
    gain sqrt(2). Raises UserError when the image is too small for the kernels.
    """

    def __init__(self, shape: tuple[int, ...], config: NetworkConfig, generator: Generator) -> None:
        super().__init__()
        self.shape = shape
        self._channels_last = len(shape) >= 3 and shape[-1] <= shape[-3]
        convolutions, self.out_features = _CNNS[config.cnn]
        channels, height, width = channels_first(torch.empty(1, *shape, device="meta"), self._channels_last).shape[1:]
        layers: list[nn.Module] = []
        for filters, kernel, stride in convolutions:
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
            if min(height, width) < 1:
                hint = "cnn = 'small' takes 5 x 5 and more" if config.cnn == "nature" else "flatten it to a vector"
                raise UserError(f"network.cnn = {config.cnn!r}: an image of shape {list(shape)} is too small; {hint}")
            with fork_rng(devices=[]):
                convolution = nn.Conv2d(channels, filters, kernel, stride)
            initialize(convolution, math.sqrt(2.0), generator)
            norm = [nn.GroupNorm(1, filters)] if config.layer_norm else []
            layers += [convolution, *norm, nn.ReLU()]
            channels = filters
        flat = linear(channels * height * width, self.out_features, gain=math.sqrt(2.0), generator=generator)
        norm_after = [nn.LayerNorm(self.out_features)] if config.layer_norm else []
        self.layers = nn.Sequential(*layers, nn.Flatten(), flat, *norm_after, nn.ReLU())

    def forward(self, image: Tensor) -> Tensor:
        leading = image.shape[: image.dim() - len(self.shape)]
        images = channels_first(image.reshape(-1, *self.shape), self._channels_last)
        features: Tensor = self.layers(to_float(images))
        return features.reshape(*leading, self.out_features)


class ResidualCNN(nn.Module):
    """Residual convolutions over an image [..., *shape] -> [..., out_features]: the large network of IMPALA (Espeholt
    et al. 2018, https://arxiv.org/abs/1802.01561, figure 3).

    For each of `channels` a convolution and a pooling that halves the image, then two residual blocks; no batch
    normalization, so a sample's features do not depend on its batch. He's initialization, but the second convolution of
    each block begins at zero and so the block as the identity (Zhang et al. 2019, https://arxiv.org/abs/1901.09321).
    `shape` is as for `CNN`.
    """

    def __init__(self, shape: tuple[int, ...], config: NetworkConfig, generator: Generator) -> None:
        super().__init__()
        self.shape, self.out_features = shape, 256
        self._channels_last = len(shape) >= 3 and shape[-1] <= shape[-3]
        inputs, height, width = channels_first(torch.empty(1, *shape, device="meta"), self._channels_last).shape[1:]
        stages: list[nn.Module] = []
        for outputs in config.channels:
            stages.append(_Stage(inputs, outputs, generator))
            inputs, height, width = outputs, -(-height // 2), -(-width // 2)
        self.stages = nn.Sequential(*stages)
        self.flat = linear(inputs * height * width, self.out_features, gain=math.sqrt(2.0), generator=generator)

    def forward(self, image: Tensor) -> Tensor:
        leading = image.shape[: image.dim() - len(self.shape)]
        images = channels_first(image.reshape(-1, *self.shape), self._channels_last)
        features = torch.relu(self.flat(torch.relu(self.stages(to_float(images))).flatten(1)))
        return features.reshape(*leading, self.out_features)


class _Stage(nn.Module):
    """[B, inputs, H, W] -> [B, outputs, H / 2, W / 2], rounded up."""

    def __init__(self, inputs: int, outputs: int, generator: Generator) -> None:
        super().__init__()
        self.widen = _convolution(inputs, outputs, generator)
        self.blocks = nn.Sequential(_Block(outputs, generator), _Block(outputs, generator))

    def forward(self, values: Tensor) -> Tensor:
        mixed: Tensor = self.blocks(F.max_pool2d(self.widen(values), 3, stride=2, padding=1))
        return mixed


class _Block(nn.Module):
    """Adds to [B, channels, H, W] what two convolutions make of it."""

    def __init__(self, channels: int, generator: Generator) -> None:
        super().__init__()
        self.first = _convolution(channels, channels, generator)
        self.second = _convolution(channels, channels, generator, gain=0.0)

    def forward(self, values: Tensor) -> Tensor:
        added: Tensor = values + self.second(torch.relu(self.first(torch.relu(values))))
        return added


def _convolution(inputs: int, outputs: int, generator: Generator, *, gain: float = math.sqrt(2.0)) -> nn.Conv2d:
    with fork_rng(devices=[]):
        layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(9 * inputs), generator=generator)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def channels_first(images: Tensor, channels_last: bool) -> Tensor:
    """[B, *shape] -> [B, channels, height, width]."""
    if images.dim() == 3:
        return images.unsqueeze(1)
    if channels_last:
        images = images.movedim(-1, -3)
    return images.reshape(images.shape[0], -1, *images.shape[-2:])


def to_float(values: Tensor) -> Tensor:
    """float32; itself where it is that already."""
    return values.float() / 255.0 if values.dtype == torch.uint8 else values.float()
