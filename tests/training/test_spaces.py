"""Which observations are images."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import Space, spaces

from training.spaces import is_image


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (spaces.Box(0, 255, (8, 8), np.uint8), True),
        (spaces.Box(0, 255, (4, 8, 8, 3), np.uint8), True),
        (spaces.Box(0, 1, (10, 10, 4), bool), True),
        (spaces.Box(0, 255, (8,), np.uint8), False),
        (spaces.Box(0, 1, (10, 4), bool), False),
        (spaces.Box(0, 1, (8, 8, 3), np.float32), False),
        (spaces.MultiBinary((8, 8, 3)), False),
        (spaces.Discrete(3), False),
    ],
)
def test_images_are_bytes_or_planes_of_truths(space: Space[object], expected: bool) -> None:
    assert is_image(space) == expected
