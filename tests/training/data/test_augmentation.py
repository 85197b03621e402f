"""Random changes of images and of sequences of tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from training.data.augmentation import AugmentationConfig, augment, augment_inputs
from training.data.sources import sklearn_dataset
from training.errors import UserError
from training.seeding import generator


def test_images_change_within_their_bounds_and_by_the_generator_alone() -> None:
    images = torch.from_numpy(sklearn_dataset("digits").array("input")[:50])
    assert augment(images, AugmentationConfig(), generator(1, "a")) is images
    config = AugmentationConfig(
        shift_pixels=1, rotate_degrees=20, scale=0.1, shear=0.1, brightness=0.1, noise=0.05, erase=0.3
    )
    changed = augment(images, config, generator(1, "a"))
    assert (changed.dtype, changed.shape) == (images.dtype, images.shape)
    assert torch.equal(changed, augment(images, config, generator(1, "a")))
    assert not torch.equal(changed, augment(images, config, generator(2, "a")))
    coloured = images.unsqueeze(-1).expand(-1, -1, -1, 3)
    assert augment(coloured, config, generator(1, "a")).shape == coloured.shape
    centre = torch.zeros(2000, 9, 9, dtype=torch.uint8)
    centre[:, 4, 4] = 255
    moved = augment(centre, AugmentationConfig(shift_pixels=2), generator(1, "a")).float()
    rows = (moved * torch.arange(9).view(1, 9, 1)).sum((1, 2)) / moved.sum((1, 2))
    assert 1.9 < float((rows - 4).abs().max()) <= 2.02
    assert abs(float(rows.mean()) - 4) < 0.1


def test_tokens_are_hidden_by_chance_and_images_beside_them_are_not_changed() -> None:
    inputs = {"words": spaces.MultiDiscrete([9] * 50), "image": spaces.Box(0, 255, (4, 4), np.uint8)}
    batch = {"words": torch.full((100, 50), 7), "image": torch.full((100, 4, 4), 200, dtype=torch.uint8)}
    changed = augment_inputs(batch, inputs, AugmentationConfig(hide_tokens=0.3), generator(1))
    assert set(changed["words"].unique().tolist()) == {0, 7}
    assert float((changed["words"] == 0).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert torch.equal(changed["image"], batch["image"])
    assert torch.equal(batch["words"], torch.full((100, 50), 7))
    with pytest.raises(UserError, match=r"hide_tokens = 1.0: it takes a number of at least 0, below 1"):
        AugmentationConfig(hide_tokens=1.0)
