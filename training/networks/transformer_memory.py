"""A transformer as a memory: each step attends to itself and to those before it in the episode, as far as it looks.

GTrXL of Parisotto et al. 2020 (https://arxiv.org/abs/1910.06764, section 3): normalization before each part, and gates
in place of additions, so that a policy first learns to react, then to remember. What it remembers are the inputs of its
layers (Dai et al. 2019, Transformer-XL, https://arxiv.org/abs/1901.02860, section 3.2). Positions are
relative, here by rotation as in `Transformer` (Su et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.errors import require
from training.networks.initialization import linear
from training.networks.transformer import Rotary, rotated

GATE_BIAS = 2.0
"""How far gates are shut at first, b_g of the paper: above 0 a layer begins as nearly the identity (section 3.2)."""


@dataclass(frozen=True)
class TransformerMemoryConfig:
    """The shape of a transformer as a memory."""

    layers: int = 1
    heads: int = 4
    context: int = 32
    """Steps before the present one that each layer looks back on."""

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "context"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")


class TransformerMemory(nn.Module):
    """Features [T, N, inputs] -> what is made of them and of those before [T, N, size]; empty where an episode begins.

    Its state is [N, context, 1 + layers * size]: of each of the newest steps, the oldest first, a one and the inputs of
    the layers; zeros where the episode had no such step. All steps of a sequence are computed at once.
    """

    def __init__(self, config: TransformerMemoryConfig, inputs: int, size: int, generator: Generator) -> None:
        super().__init__()
        self.embed = linear(inputs, size, gain=1.0, generator=generator)
        self.layers = nn.ModuleList(GatedLayer(size, config.heads, generator) for _ in range(config.layers))
        self.rotary = Rotary(size // config.heads)
        self.context, self.out_features = config.context, size
        self.state_shape = (config.context, 1 + config.layers * size)

    def forward(self, features: Tensor, is_first: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """As `Memory.forward`, with this state."""
        state = state.masked_fill(is_first[0, :, None, None], 0.0)
        filled, remembered = state[..., 0] > 0, state[..., 1:].split(self.out_features, dim=-1)
        episode = is_first.cumsum(0).T  # [N, T], counted from the state's
        seen = self._seen(episode, filled)
        turns = self.rotary(0, seen.shape[-1])
        values, kept = self.embed(features).transpose(0, 1), []
        for layer, before in zip(self.layers, remembered, strict=True):
            steps = torch.cat([before, values], 1)
            kept.append(steps[:, -self.context :])
            values = layer(steps, len(features), turns, seen)
        now = episode[:, -1:]
        alive = torch.cat([filled & (now == 0), episode == now], 1)[:, -self.context :, None]
        after = torch.cat([alive, *kept], -1).float().masked_fill(~alive, 0.0)
        return values.transpose(0, 1), after

    def _seen(self, episode: Tensor, filled: Tensor) -> Tensor:
        """Which of the steps of the state and of the sequence each step sees, [N, 1, T, context + T]."""
        length, device = episode.shape[1], episode.device
        same = torch.cat(
            [filled[:, None] & (episode == 0)[:, :, None], episode[:, :, None] == episode[:, None]], dim=-1
        )
        window = torch.ones(length, self.context + length, dtype=torch.bool, device=device)
        return (same & window.triu().tril(self.context)).unsqueeze(1)


class GatedLayer(nn.Module):
    """Attention, then a perceptron, each on normalized inputs and behind a gate (TrXL-I with gates, section 3.2)."""

    def __init__(self, size: int, heads: int, generator: Generator) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int) -> nn.Linear:
            return linear(inputs, outputs, gain=1.0, generator=generator)

        self.heads = heads
        self.norm_before_attention, self.norm_before_mlp = nn.LayerNorm(size), nn.LayerNorm(size)
        self.query, self.key, self.value, self.attended = (layer(size, size) for _ in range(4))
        self.widen, self.narrow = layer(size, 4 * size), layer(4 * size, size)
        self.gate_of_attention, self.gate_of_mlp = Gate(size, generator), Gate(size, generator)

    def forward(self, steps: Tensor, length: int, turns: Tensor, seen: Tensor) -> Tensor:
        """Of steps [N, context + T, size], the outputs [N, T, size] of the newest `length` = T, which see others."""
        normed, values = self.norm_before_attention(steps), steps[:, -length:]
        query = rotated(self._by_head(self.query(normed[:, -length:])), turns[:, -length:])
        key = rotated(self._by_head(self.key(normed)), turns)
        found = F.scaled_dot_product_attention(query, key, self._by_head(self.value(normed)), attn_mask=seen)
        values = self.gate_of_attention(values, torch.relu(self.attended(found.transpose(1, 2).flatten(2))))
        hidden = torch.relu(self.widen(self.norm_before_mlp(values)))
        gated: Tensor = self.gate_of_mlp(values, torch.relu(self.narrow(hidden)))
        return gated

    def _by_head(self, vectors: Tensor) -> Tensor:
        by_head: Tensor = vectors.unflatten(-1, (self.heads, -1))
        return by_head.transpose(1, 2)


class Gate(nn.Module):
    """What was there [..., size] and what a part made of it -> both, mixed as by a GRU (section 3.2)."""

    def __init__(self, size: int, generator: Generator) -> None:
        super().__init__()
        self.of_new = linear(size, 3 * size, gain=1.0, generator=generator)
        self.of_old = linear(size, 2 * size, gain=1.0, generator=generator)
        self.of_reset = linear(size, size, gain=1.0, generator=generator)
        with torch.no_grad():
            self.of_old.bias[size:] = -GATE_BIAS

    def forward(self, old: Tensor, new: Tensor) -> Tensor:
        reset_by_new, update_by_new, candidate = self.of_new(new).chunk(3, dim=-1)
        reset_by_old, update_by_old = self.of_old(old).chunk(2, dim=-1)
        reset = torch.sigmoid(reset_by_new + reset_by_old)
        update = torch.sigmoid(update_by_new + update_by_old)
        candidate = torch.tanh(candidate + self.of_reset(reset * old))
        mixed: Tensor = (1 - update) * old + update * candidate
        return mixed
