"""How far probabilities are from what happens: the expected calibration error, and the temperature that corrects them.

Guo et al. 2017, "On calibration of modern neural networks", https://arxiv.org/abs/1706.04599.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BINS = 15
PRIOR_SAMPLES = 3.0
"""How much the prior weighs that a temperature is 1. Of 0.1, 0.3, 1, 3 and 10 it was the best for 200 made-up
classifiers with 85 samples to validate with: on other samples none became worse. Without a prior 28 did, one of them by
0.55 nats."""


class Reliability(NamedTuple):
    """What was said and what came true, in the mean over the samples of each bin that has any; all are [bins]."""

    said: NDArray[np.float64]
    true: NDArray[np.float64]
    samples: NDArray[np.int64]


def reliability(probabilities: NDArray[np.floating], target: NDArray[np.integer], bins: int = BINS) -> Reliability:
    """The reliability diagram (equation 2) of probabilities [S, classes] for the classes `target` [S].

    Confidence and accuracy over `bins` bins of equal width.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == target
    return _means(_bin_of(confidence, bins), confidence, right, bins)


def number_reliability(said: NDArray[np.floating], target: NDArray[np.floating], bins: int = BINS) -> Reliability:
    """The same of numbers [S]: the mean of the true ones over bins of as many samples, by what was predicted."""
    bins = min(bins, len(said))
    bin_of = np.empty(len(said), np.int64)
    bin_of[np.argsort(said, kind="stable")] = np.arange(len(said)) * bins // len(said)
    return _means(bin_of, said, target, bins)


def _means(bin_of: NDArray[np.int64], said: NDArray[Any], true: NDArray[Any], bins: int) -> Reliability:
    count = np.bincount(bin_of, minlength=bins)
    some = count > 0
    means = [np.bincount(bin_of, values, minlength=bins)[some] / count[some] for values in (said, true)]
    return Reliability(means[0], means[1], count[some])


def calibration_error(probabilities: NDArray[np.floating], target: NDArray[np.integer], bins: int = BINS) -> float:
    """The expected calibration error (equation 3) of probabilities [S, classes] for the classes `target` [S].

    The mean distance between confidence and accuracy over `bins` bins of equal width, weighted by their samples.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == target
    excess = np.bincount(_bin_of(confidence, bins), confidence - right, minlength=bins)
    return float(np.abs(excess).sum() / len(target))


def _bin_of(confidence: NDArray[np.floating], bins: int) -> NDArray[np.int64]:
    """The bin of equal width that each is in; bins are open on the left."""
    return np.asarray(np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1))


def best_temperature(logits: Tensor, target: Tensor) -> float:
    """The temperature [] by which finite logits [S, classes] are divided to say the classes `target` [S] most likely.

    Section 4.2, with a prior: where every answer is right, the colder the likelier, without an end. What is minimized
    over b = 1 / temperature is the sum of the cross-entropies and k (b - 1 - log b), which is a gamma distribution of b
    with its mode at 1 (k is `PRIOR_SAMPLES`). It is convex and the prior is 0 at 1, so that on these samples the result
    is never less likely than no temperature at all.
    """
    from scipy.optimize import brentq

    logits = logits.double()
    logits = logits - logits.amax(1, keepdim=True)  # says the same, and times the largest b it is no infinity
    right = logits.gather(1, target.unsqueeze(1)).squeeze(1)

    def slope(log_b: float) -> float:
        """The derivative by log b, which crosses 0 once."""
        b = math.exp(log_b)
        expected = (torch.softmax(logits * b, -1) * logits).sum(-1)
        return b * (float((expected - right).sum()) + PRIOR_SAMPLES) - PRIOR_SAMPLES

    low = high = 0.0
    while slope(low) > 0:
        low -= 1.0
    while slope(high) < 0:
        high += 1.0
    return math.exp(-brentq(slope, low, high)) if low < high else 1.0
