"""Low-rank adaptation (Hu et al. 2021, https://arxiv.org/abs/2106.09685, equation 3), by PEFT's injection.

A linear layer W x becomes W x + alpha / rank * B A x, where B begins at zero, so that nothing changes at first. The
optimizer rules `LORA_RULES` train A and B alone.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from torch import Generator, nn
from torch.random import fork_rng

from training.errors import UserError, require
from training.extras import extra

M = TypeVar("M", bound=nn.Module)
_LAYERS = ("Linear", "Conv1D")
"""Of torch, and of GPT-2 in transformers."""


@dataclass(frozen=True)
class LoRAConfig:
    """The shape of the adapters."""

    rank: int = 4
    alpha: float = 8.0
    """Their output is multiplied by alpha / rank."""
    targets: tuple[str, ...] = ("*",)
    """Patterns of the names of linear layers; one whose weight another module shares, as GPT-2's output does with its
    embedding, is left as it is: merging would change the other too."""

    def __post_init__(self) -> None:
        require(self.rank >= 1, "rank", self.rank, "at least 1")
        require(self.alpha > 0, "alpha", self.alpha, "a number above 0")
        require(bool(self.targets), "targets", self.targets, "at least one pattern")


def inject(model: nn.Module, config: LoRAConfig, rng: Generator) -> None:
    """Puts adapters into the linear layers that the patterns match, in place.

    Raises UserError for a pattern that matches none, naming those that there are.
    """
    with extra("language"):
        import peft
    names = _targets(model, config.targets)
    adapters = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # it divides it by the rank, and takes any number
        target_modules="|".join(map(re.escape, names)),
        fan_in_fan_out=_is_conv1d(model, names),
    )
    with fork_rng(devices=[]):  # PEFT draws from the global generator
        peft.inject_adapter_in_model(adapters, model)
    for key, weight in model.named_parameters():
        if ".lora_A." in key:
            nn.init.kaiming_uniform_(weight, math.sqrt(5), generator=rng)  # as PEFT does


def merge(model: nn.Module) -> None:
    """Merges the adapters into the weights of their layers and removes them, in place."""
    with extra("language"):
        from peft.tuners.lora import LoraLayer
    for name, layer in list(model.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge()
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, layer.get_base_layer())


def trained_fraction(model: nn.Module) -> float:
    """The trained parameters as a fraction of those that the model has without adapters."""
    parameters = dict(model.named_parameters())
    base = sum(value.numel() for key, value in parameters.items() if ".lora_" not in key)
    return sum(value.numel() for value in parameters.values() if value.requires_grad) / base


def _targets(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    owners = Counter(id(value) for _, value in model.named_parameters(remove_duplicate=False))
    layers = [
        name
        for name, module in model.named_modules()
        if type(module).__name__ in _LAYERS and owners[id(module.weight)] == 1
    ]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in layers):
            raise UserError(f"lora.targets: pattern {pattern!r} matches no linear layer of {', '.join(layers)}")
    return [name for name in layers if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _is_conv1d(model: nn.Module, names: Sequence[str]) -> bool:
    kinds: set[Any] = {type(model.get_submodule(name)).__name__ for name in names}
    return kinds == {"Conv1D"}
