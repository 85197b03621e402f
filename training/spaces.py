"""What observation spaces mean to networks and presets."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import Space, spaces


def is_image(space: Space[Any]) -> bool:
    """Whether observations are images: uint8 in two to four dimensions, or planes of truths [H, W, C] as in MinAtar."""
    if not isinstance(space, spaces.Box):
        return False
    return (space.dtype == np.uint8 and 2 <= len(space.shape) <= 4) or (space.dtype == bool and len(space.shape) == 3)
