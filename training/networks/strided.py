"""A small convolutional network with group normalization, for pictures of some 30 pixels: an encoder of one's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from gymnasium import Space
from torch import Tensor, nn

from training.errors import UserError, require
from training.networks.convolutions import channels_first, to_float


class StridedCNN(nn.Module):
    """The one image [B, H, W], [B, H, W, C] or [B, C, H, W] -> features [B, out_features], of all places.

    For each of `channels` a convolution of 3 x 3 that halves the picture, group normalization (Wu and He 2018,
    https://arxiv.org/abs/1803.08494) and ReLU. The normalization is of each picture alone, so that what is said of one
    does not depend on the others. It is named in a config, `module="training.networks.strided:StridedCNN"`.

    Raises UserError for more than one input, or channels that the groups do not divide.
    """

    def __init__(
        self,
        observation_spaces: Mapping[str, Space[Any]],
        channels: Sequence[int] = (32, 64, 128, 128),
        groups: int = 4,
    ) -> None:
        super().__init__()
        if len(observation_spaces) != 1:
            raise UserError(f"StridedCNN takes one image, here there are {', '.join(observation_spaces)}")
        ((self._key, space),) = observation_spaces.items()
        shape = space.shape or ()
        self._channels_last = len(shape) >= 3 and shape[-1] <= shape[-3]
        inputs, height, width = channels_first(torch.empty(1, *shape, device="meta"), self._channels_last).shape[1:]
        layers: list[nn.Module] = []
        for outputs in channels:
            require(outputs % groups == 0, "channels", outputs, f"a multiple of groups = {groups}")
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(groups, outputs), nn.ReLU()]
            nn.init.normal_(layers[-3].weight, std=math.sqrt(2 / (9 * inputs)))  # type: ignore[arg-type]
            inputs, height, width = outputs, -(-height // 2), -(-width // 2)
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.out_features = inputs * height * width

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        features: Tensor = self.layers(to_float(channels_first(observations[self._key], self._channels_last)))
        return features
