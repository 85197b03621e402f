"""Small data sets whose answer is known, for the tests of what learns from data."""

from __future__ import annotations

import numpy as np
import torch

from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, Splits, split


def clouds() -> Splits:
    """Three clouds far from each other, of numbers of very different sizes."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 300)
    x = (10 * np.eye(3)[target] + rng.normal(size=(300, 3))) * [1, 100, 0.01]
    return split(of_arrays(x.astype(np.float32), target, "clouds"), SplitConfig("stratified"), seed=1)


def whole(data: Dataset) -> dict[str, torch.Tensor]:
    return data.gather(torch.arange(len(data)))
