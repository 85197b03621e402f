"""A transformer over embedded tokens: GPT-2's blocks (Radford et al. 2019), without dropout.

Dropout would draw from torch's global generator, which no run restores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.random import fork_rng

from training.core import require

STD = 0.02
"""Of the initial weights."""


@dataclass(frozen=True)
class TransformerConfig:
    """The shape of a transformer."""

    width: int = 128
    layers: int = 3
    heads: int = 1
    causal: bool = True
    """Each token sees itself and those before it; otherwise it sees all."""

    def __post_init__(self) -> None:
        require(self.layers >= 1, "layers", self.layers, "at least 1")
        takes = f"a divisor of width = {self.width}"
        require(self.heads >= 1 and self.width >= 1 and self.width % self.heads == 0, "heads", self.heads, takes)


class Transformer(nn.Module):
    """Tokens [B, L, width] -> [B, L, width]; each one sees itself and those before it, or all."""

    def __init__(self, config: TransformerConfig, rng: Generator) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(config, rng) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens)
        normed: Tensor = self.norm(tokens)
        return normed


class Block(nn.Module):
    """Attention, then a perceptron; each adds to what it reads, which it normalizes first."""

    def __init__(self, config: TransformerConfig, rng: Generator) -> None:
        super().__init__()
        width, last = config.width, STD / math.sqrt(2 * config.layers)  # the sum over the layers keeps its size
        self.heads, self.causal = config.heads, config.causal
        self.norm_before_attention, self.norm_before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend = normal_linear(width, 3 * width, rng)
        self.attended = normal_linear(width, width, rng, std=last)
        self.widen = normal_linear(width, 4 * width, rng)
        self.narrow = normal_linear(4 * width, width, rng, std=last)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, length, width = tokens.shape
        projected = self.attend(self.norm_before_attention(tokens)).view(batch, length, 3, self.heads, -1)
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        tokens = tokens + self.attended(seen.transpose(1, 2).reshape(batch, length, width))
        added: Tensor = tokens + self.narrow(torch.relu(self.widen(self.norm_before_mlp(tokens))))
        return added


def normal_linear(inputs: int, outputs: int, rng: Generator, *, std: float = STD) -> nn.Linear:
    """A linear layer with normal weights, its bias zero."""
    with fork_rng(devices=[]):  # the layer's own initialization draws from the global generator
        layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=std, generator=rng)
    nn.init.zeros_(layer.bias)
    return layer


def normal_embedding(count: int, width: int, rng: Generator) -> nn.Embedding:
    """A vector for each of `count` numbers."""
    with fork_rng(devices=[]):
        embedding = nn.Embedding(count, width)
    nn.init.normal_(embedding.weight, std=STD, generator=rng)
    return embedding
