"""Domain adaptation without a network: the inputs of one domain get the covariance of the other's.

CORAL as it was first (Sun, Feng and Saenko 2016, https://arxiv.org/abs/1511.05547, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pretraining.baselines.linear import Arrays

ADDED = 0.1
"""To the variance of each column; pixels from 0 to 1 vary by about as much."""


def aligned(parts: Sequence[Arrays], other: Arrays) -> list[Arrays]:
    """Training and validation split, moved to where `other` is, which is of the test split's domain and has no labels.

    Any model that learns from them may then be measured on the test split.
    """
    train, validation, test = parts
    source, target = (np.cov(one.inputs, rowvar=False) + ADDED * np.eye(one.inputs.shape[1]) for one in (train, other))
    turns = _power(source, -0.5) @ _power(target, 0.5)
    mean, there = train.inputs.mean(0), other.inputs.mean(0)
    return [*(Arrays((one.inputs - mean) @ turns + there, one.target) for one in (train, validation)), test]


def _power(symmetric: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(symmetric)
    found: NDArray[np.float64] = (vectors * values**exponent) @ vectors.T
    return found
