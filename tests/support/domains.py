"""Two domains that say the same classes, and a small predictor of them."""

from __future__ import annotations

import numpy as np

from finetuning.domains import Domains
from pretraining.predictor import Predictor, PredictorConfig
from training.core import Batch, Counters
from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.networks import NetworkConfig
from training.seeding import generator


def blobs(count: int, shift: float, seed: int) -> Dataset:
    """Two classes that the first number tells apart; the second one tells the domain."""
    rng = np.random.default_rng(seed)
    target = np.arange(count) % 2
    inputs = rng.normal(size=(count, 2)) * 0.3 + np.stack([2.0 * target - 1, np.full(count, shift)], 1)
    return of_arrays(inputs.astype(np.float32), target, "blobs", labels=["left", "right"])


def images(count: int, brightness: int, seed: int) -> Dataset:
    """Two classes, bright on the left or on the right; how bright the other half is tells the domain."""
    rng = np.random.default_rng(seed)
    target = np.arange(count) % 2
    pictures = rng.integers(brightness, brightness + 40, (count, 6, 6))
    for picture, side in zip(pictures, target, strict=True):
        picture[:, 3 * side : 3 * side + 3] += 90
    return of_arrays(pictures.astype(np.uint8), target, "pictures", labels=["left", "right"])


def small_model(data: Dataset, seed: int = 1) -> Predictor:
    config = PredictorConfig(network=NetworkConfig(hidden=(8,), activation="relu", cnn="small"))
    return Predictor(data.inputs, data.target, config, generator(seed))


def batch_of(source: Dataset, target: Dataset, size: int = 16) -> Batch:
    return Domains(source, target, size, seed=1).next(Counters())[0]
