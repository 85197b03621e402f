"""Pictures whose class is where they are bright, and small predictors of it."""

from __future__ import annotations

import numpy as np

from pretraining.predictor import Predictor, PredictorConfig
from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.networks import NetworkConfig
from training.seeding import generator


def pictures(count: int = 90, classes: int = 3) -> Dataset:
    """The class is which pair of columns is bright."""
    rng = np.random.default_rng(1)
    target = np.arange(count) % classes
    images = rng.integers(0, 60, (count, 6, 6))
    for image, side in zip(images, target, strict=True):
        image[:, 2 * side : 2 * side + 2] += 120
    return of_arrays(images.astype(np.uint8), target, "pictures", labels=[str(label) for label in range(classes)])


def small_predictor(data: Dataset, seed: int, *, cnn: str = "small") -> Predictor:
    network = NetworkConfig(hidden=(), activation="relu", cnn="residual", channels=(4,))
    if cnn == "small":
        network = NetworkConfig(hidden=(), activation="relu", cnn="small")
    return Predictor(data.inputs, data.target, PredictorConfig(network=network), generator(seed))
