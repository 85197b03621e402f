"""The config of a network: its layers, its activation and the convolutions over images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.errors import require


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
