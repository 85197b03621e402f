"""The config of a network: its layers, its activation and the convolutions over images, or a module of one's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from training.errors import require
from training.networks.import_paths import check_arguments, path_of


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a network. `hidden` are the layers of each perceptron, `cnn` encodes each image."""

    hidden: tuple[int, ...] = (64, 64)
    activation: Literal["tanh", "relu", "silu", "gelu"] = "tanh"
    layer_norm: bool = False
    """Before every activation, but in cnn = 'residual'."""
    cnn: Literal["nature", "small", "minatar", "residual"] = "nature"
    channels: tuple[int, ...] = (16, 32, 32)
    """Of cnn = 'residual', which halves the image for each of them."""
    module: str | None = None
    """An encoder of your own instead of ours: the import path `package.module:Name` of a torch.nn.Module, in Python the
    class itself too. training/networks/own.py says what it takes and gives."""
    module_kwargs: dict[str, Any] = field(default_factory=dict)
    """Given to its constructor after the observation spaces."""

    def __post_init__(self) -> None:
        require(all(width >= 1 for width in self.hidden), "hidden", self.hidden, "widths of at least 1")
        positive = bool(self.channels) and all(channels >= 1 for channels in self.channels)
        require(positive, "channels", self.channels, "one and more, each at least 1")
        given: Any = self.module
        if isinstance(given, type):
            object.__setattr__(self, "module", path_of(given))
        takes = "none without a module of your own"
        require(self.module is not None or not self.module_kwargs, "module_kwargs", self.module_kwargs, takes)
        if self.module is not None:
            check_arguments(self.module, self.module_kwargs)
