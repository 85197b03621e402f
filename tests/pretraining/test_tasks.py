"""Tasks: every sample is changed on its own, and there is no end of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from pretraining.prototypical import PrototypicalRunConfig
from pretraining.tasks import augmented_tasks
from training.data.augmentation import AugmentationConfig
from training.errors import UserError
from training.seeding import generator

INPUTS = {"input": spaces.Box(0, 255, (6, 6, 1), np.uint8)}


def test_tasks_keep_their_shape_and_samples_are_changed_apart() -> None:
    image = torch.arange(36, dtype=torch.uint8).reshape(6, 6, 1)
    batch = {"input": image.expand(2, 3, 4, 6, 6, 1), "target": torch.zeros(2, 3, 4)}
    device = torch.device("cpu")
    same = augmented_tasks(batch, INPUTS, AugmentationConfig(), generator(1), device)
    assert list(same) == ["input"]
    assert torch.equal(same["input"], batch["input"])
    moved = augmented_tasks(batch, INPUTS, AugmentationConfig(shift_pixels=2.0), generator(1), device)["input"]
    assert moved.shape == batch["input"].shape
    assert len(moved.flatten(0, 2).unique(dim=0)) > 5


def test_a_budget_in_epochs_is_refused() -> None:
    with pytest.raises(UserError, match="epochs"):
        PrototypicalRunConfig(epochs=3, steps=None)
