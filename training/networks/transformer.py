"""The one transformer, over embedded tokens, causal or not, without dropout.

By default its blocks are GPT-2's (Radford et al. 2019) with ReLU; `norm`, `mlp` and `position` make them Llama's
(Touvron et al. 2023, https://arxiv.org/abs/2302.13971, section 2.2), with biases. Dropout would draw from torch's
global generator, which no run restores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.random import fork_rng
from torch.utils.checkpoint import checkpoint

from training.errors import require

STD = 0.02
"""Of the initial weights."""
ROTARY_BASE = 10_000.0  # Su et al. 2021, section 3.3


@dataclass(frozen=True)
class TransformerConfig:
    """The shape of a transformer."""

    width: int = 128
    layers: int = 3
    heads: int = 1
    causal: bool = True
    """Each token sees itself and those before it; otherwise it sees all."""
    norm: Literal["layer", "rms"] = "layer"
    """RMSNorm: Zhang and Sennrich 2019."""
    mlp: Literal["relu", "gelu", "swiglu"] = "relu"
    """SwiGLU (Shazeer 2020) has two thirds of the hidden units, and so as many weights as the others."""
    position: Literal["none", "rotary"] = "none"
    """none: whoever embeds the tokens tells them where they are."""

    def __post_init__(self) -> None:
        require(self.layers >= 1, "layers", self.layers, "at least 1")
        takes = f"a divisor of width = {self.width}"
        require(self.heads >= 1 and self.width >= 1 and self.width % self.heads == 0, "heads", self.heads, takes)
        takes = f"a number of heads that divides width = {self.width} into even parts, for rotary positions"
        fits = self.position == "none" or self.width // self.heads % 2 == 0
        require(fits, "heads", self.heads, takes)


class Cache:
    """The keys and values [layers, B, heads, capacity, width of a head] of the tokens seen so far: `length` of them."""

    def __init__(self, config: TransformerConfig, batch: int, capacity: int, like: Tensor) -> None:
        shape = (config.layers, batch, config.heads, capacity, config.width // config.heads)
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.length = 0

    def extended(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Takes in the keys and values of the newest tokens; returns those of all tokens."""
        end = self.length + key.shape[2]
        self.keys[layer, :, :, self.length : end] = key
        self.values[layer, :, :, self.length : end] = value
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


class Transformer(nn.Module):
    """Tokens [B, L, width] -> [B, L, width]; each one sees itself and those before it, or all.

    With `checkpoint_activations` the inside of a block is computed again in the backward pass instead of being kept:
    less memory, a third slower, and nothing that can be compiled.
    """

    def __init__(self, config: TransformerConfig, rng: Generator, *, checkpoint_activations: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(config, rng) for _ in range(config.layers))
        self.norm = _norm(config)
        self.rotary = Rotary(config.width // config.heads) if config.position == "rotary" else None
        self._causal, self._checkpoints = config.causal, checkpoint_activations

    def forward(self, tokens: Tensor, *, mask: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """Of tokens that follow those in `cache`, which it extends.

        `mask` [B, 1, L, L], where a token may see another, takes the place of causality; there is none with a cache.
        """
        length, seen = tokens.shape[1], 0 if cache is None else cache.length
        turns = None if self.rotary is None else self.rotary(seen, length)
        if seen and length > 1:
            mask = torch.ones(length, seen + length, dtype=torch.bool, device=tokens.device).tril(seen)
        causal = self._causal and mask is None and length > 1
        for layer, block in enumerate(self.blocks):
            if self._checkpoints and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, turns, mask, causal, use_reentrant=False, preserve_rng_state=False)
            else:
                tokens = block(tokens, turns, mask, causal, cache, layer)
        if cache is not None:
            cache.length += length
        normed: Tensor = self.norm(tokens)
        return normed


class Block(nn.Module):
    """Attention, then a perceptron; each adds to what it reads, which it normalizes first."""

    def __init__(self, config: TransformerConfig, rng: Generator) -> None:
        super().__init__()
        width, last = config.width, STD / math.sqrt(2 * config.layers)  # the sum over the layers keeps its size
        self.heads, self.mlp = config.heads, config.mlp
        hidden = 4 * width if config.mlp != "swiglu" else 8 * round(width / 3)
        self.norm_before_attention, self.norm_before_mlp = _norm(config), _norm(config)
        self.attend = normal_linear(width, 3 * width, rng)
        self.attended = normal_linear(width, width, rng, std=last)
        self.widen = normal_linear(width, 2 * hidden if config.mlp == "swiglu" else hidden, rng)
        self.narrow = normal_linear(hidden, width, rng, std=last)

    def forward(
        self,
        tokens: Tensor,
        turns: Tensor | None,
        mask: Tensor | None,
        causal: bool,
        cache: Cache | None = None,
        layer: int = 0,
    ) -> Tensor:
        batch, length, width = tokens.shape
        projected = self.attend(self.norm_before_attention(tokens)).view(batch, length, 3, self.heads, -1)
        parts = projected.permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        if turns is not None:
            query, key = rotated(parts[:2], turns).unbind(0)
        if cache is not None:
            key, value = cache.extended(layer, key, value)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        tokens = tokens + self.attended(seen.transpose(1, 2).reshape(batch, length, width))
        added: Tensor = tokens + self.narrow(self._activated(self.widen(self.norm_before_mlp(tokens))))
        return added

    def _activated(self, hidden: Tensor) -> Tensor:
        if self.mlp == "swiglu":
            gate, value = hidden.chunk(2, dim=-1)
            return F.silu(gate) * value
        return F.gelu(hidden) if self.mlp == "gelu" else torch.relu(hidden)


class Rotary(nn.Module):
    """Rotary positions (Su et al. 2021, https://arxiv.org/abs/2104.09864, equation 34), in two halves of a head."""

    frequencies: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        exponents = torch.arange(0, size, 2) / size
        self.register_buffer("frequencies", ROTARY_BASE**-exponents, persistent=False)

    def forward(self, first: int, length: int) -> Tensor:
        """Cosines and sines [2, length, size / 2] of `length` positions from `first` on."""
        positions = torch.arange(first, first + length, device=self.frequencies.device)
        angles = positions.unsqueeze(1) * self.frequencies
        return torch.stack([angles.cos(), angles.sin()])


def rotated(vectors: Tensor, turns: Tensor) -> Tensor:
    """Vectors [..., L, size], each turned by the angles of its position; `turns` as `Rotary` gives them."""
    cosine, sine = turns.to(vectors.dtype).unbind(0)
    one, other = vectors.chunk(2, dim=-1)
    return torch.cat([one * cosine - other * sine, other * cosine + one * sine], dim=-1)


def _norm(config: TransformerConfig) -> nn.Module:
    return nn.RMSNorm(config.width, eps=1e-6) if config.norm == "rms" else nn.LayerNorm(config.width)


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
