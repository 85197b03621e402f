"""What a trained predictor says of each sample of a split, and of which samples it is the furthest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pretraining.calibration import Reliability, number_reliability, reliability
from pretraining.predictor import Predictor
from training.core import to_device
from training.data.dataset import Dataset


class Predictions(NamedTuple):
    """Of every sample of a split."""

    said: NDArray[np.float64]
    """Probabilities [S, classes], or numbers [S, ...] in the target's unit."""
    target: NDArray[np.generic]
    """The classes [S], or the numbers [S, ...]."""

    @property
    def of_classes(self) -> bool:
        return np.issubdtype(self.target.dtype, np.integer)

    @property
    def distance(self) -> NDArray[np.float64]:
        """How far each sample [S] is: the negative logarithm of its class's probability, or the mean absolute error."""
        if self.of_classes:
            likely = self.said[np.arange(len(self.said)), self.target.astype(int)]
            return np.asarray(-np.log(np.maximum(likely, np.finfo(np.float64).tiny)))
        return np.asarray(np.abs(self.said - self.target.astype(np.float64)).reshape(len(self.said), -1).mean(1))

    def worst(self, most: int) -> NDArray[np.int64]:
        """The samples that are the furthest, the furthest first."""
        return np.argsort(-self.distance, kind="stable")[:most]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How many samples of each class [true, said] were taken for each class."""
        classes = self.said.shape[1]
        pairs = self.target.astype(int) * classes + self.said.argmax(1)
        return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    @property
    def reliability(self) -> Reliability:
        """How what was said agrees with what came true; of several numbers, those of all samples together."""
        if self.of_classes:
            return reliability(self.said, self.target.astype(np.int64))
        return number_reliability(self.said.reshape(-1), self.target.astype(np.float64).reshape(-1))


@torch.no_grad()
def predictions(model: Predictor, data: Dataset, minibatch_size: int) -> Predictions:
    """What the model says of all samples."""
    device = model.temperature.device
    said = [model.predict(to_device(batch, device)).double().cpu() for batch in data.batches(minibatch_size)]
    return Predictions(torch.cat(said).numpy(), data.array("target"))
