"""How far probabilities are from what happens: the expected calibration error, and the temperature that corrects them.

Guo et al. 2017, "On calibration of modern neural networks", https://arxiv.org/abs/1706.04599.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BINS = 15
TEMPERATURES = (0.05, 20.0)
"""The range that is searched: where every answer is right, no finite temperature is the best."""


def calibration_error(probabilities: NDArray[np.floating], target: NDArray[np.integer], bins: int = BINS) -> float:
    """The expected calibration error (equation 3) of probabilities [S, classes] for the classes `target` [S].

    The mean distance between confidence and accuracy over `bins` bins of equal width, weighted by their samples.
    """
    confidence, said = probabilities.max(1), probabilities.argmax(1)
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bins are open on the left
    excess = np.bincount(bin_of, confidence - (said == target), minlength=bins)
    return float(np.abs(excess).sum() / len(target))


def best_temperature(logits: Tensor, target: Tensor) -> float:
    """The temperature [] by which logits [S, classes] are divided for the highest likelihood of `target` [S] (section
    4.2). The loss is convex in its inverse, so a bounded search finds it."""
    from scipy.optimize import minimize_scalar

    logits = logits.double()

    def loss(log_temperature: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits / np.exp(log_temperature), target))

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))
