"""A transformer as an encoder."""

from __future__ import annotations

import pytest
import torch

from training.errors import UserError
from training.networks.sequence_encoder import SequenceEncoder
from training.networks.transformer import TransformerConfig
from training.seeding import generator

SMALL = TransformerConfig(width=16, layers=1, heads=2, causal=False)


def test_patches_are_the_images_tiles() -> None:
    image = torch.arange(2 * 4 * 6 * 3, dtype=torch.uint8).view(2, 4, 6, 3)
    from training.data.dataset import pixels

    encoder = SequenceEncoder(pixels((4, 6, 3)), SMALL, generator(1, "weights"))
    tiles = (encoder.tokens(image) * 255).round().to(torch.uint8)
    assert tiles.shape == (2, 6, 12)
    assert torch.equal(tiles[1, 4], image[1, 2:4, 2:4].reshape(-1))
    with pytest.raises(UserError, match="patch = 4: it takes a divisor of the image's sizes, 4 and 6"):
        SequenceEncoder(pixels((4, 6, 3)), SMALL, generator(1, "weights"), patch=4)
