"""A transformer as an encoder: for image patches, tokens, or a sequence of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Generator, Tensor, nn

from training.errors import UserError
from training.networks.convolutions import to_float
from training.networks.transformer import STD, Transformer, TransformerConfig, normal_embedding, normal_linear


class SequenceEncoder(nn.Module):
    """[B, *shape] -> features [B, width]: the mean of the transformer's outputs.

    With `shortcut` [B, 3 width]: beside them the mean and the maximum of the embedded tokens. Much is said by a word
    that is there, wherever it is (Joulin et al. 2017, https://arxiv.org/abs/1607.01759, section 2).

    Tokens are patches of `patch` x `patch` pixels of a uint8 image [H, W] or [H, W, C] (Dosovitskiy et al. 2021,
    https://arxiv.org/abs/2010.11929, equation 1), the numbers of a MultiDiscrete [L], or [L, K] (the sum of
    K vectors), or the rows of a Box [L, C]; each gets a learned vector for its position. Raises UserError for another
    space, or an image that patches do not tile.
    """

    def __init__(
        self, space: Space[Any], config: TransformerConfig, rng: Generator, *, patch: int = 2, shortcut: bool = False
    ) -> None:
        super().__init__()
        self.patch, self.shortcut, self.out_features = patch, shortcut, config.width * (3 if shortcut else 1)
        self.embed: nn.Module
        if isinstance(space, spaces.MultiDiscrete) and len(space.shape) in (1, 2):
            self.kind, self.length, self.token_size = "tokens", len(space.nvec), int(space.nvec.max())
            self.embed = normal_embedding(self.token_size, config.width, rng)
        elif isinstance(space, spaces.Box) and len(space.shape) in (2, 3):
            if space.dtype == np.uint8:
                height, width, channels = (*space.shape, 1)[:3]
                if height % patch or width % patch:
                    raise UserError(f"patch = {patch}: it takes a divisor of the image's sizes, {height} and {width}")
                self.kind, self.length = "patches", (height // patch) * (width // patch)
                self.token_size = patch * patch * channels
            else:
                self.kind, self.length, self.token_size = "rows", *space.shape[:2]
            self.embed = normal_linear(self.token_size, config.width, rng)
        else:
            raise UserError(f"a transformer takes images, sequences of tokens or of vectors, not {space}")
        self.position = nn.Parameter(torch.empty(self.length, config.width).normal_(std=STD, generator=rng))
        self.transformer = Transformer(config, rng)

    def tokens(self, values: Tensor) -> Tensor:
        """What is embedded: the patches' pixels [B, L, token_size] in [0, 1], or the values as they are."""
        if self.kind != "patches":
            return values
        rows, height, width = values.shape[0], values.shape[1], values.shape[2]
        size = self.patch
        tiles = to_float(values).reshape(rows, height // size, size, width // size, size, -1)
        return tiles.transpose(2, 3).reshape(rows, self.length, self.token_size)

    def embedded(self, values: Tensor) -> Tensor:
        """The tokens with their positions [B, L, width], before the transformer."""
        return self._placed(self.embed(self.tokens(values)))

    def _placed(self, vectors: Tensor) -> Tensor:
        return (vectors.sum(2) if vectors.dim() == 4 else vectors) + self.position

    def forward(self, values: Tensor) -> Tensor:
        vectors = self.embed(self.tokens(values))
        features: Tensor = self.transformer(self._placed(vectors)).mean(1)
        seen = vectors.flatten(1, -2)
        return torch.cat([features, seen.mean(1), seen.amax(1)], 1) if self.shortcut else features
