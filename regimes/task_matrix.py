"""What is left of earlier tasks: measures of the matrix R [T, T] with the score on task s after learning task t.

Lopez-Paz and Ranzato 2017 (https://arxiv.org/abs/1706.08840, section 2) for the average and the backward transfer,
Chaudhry et al. 2018 (https://arxiv.org/abs/1801.10112, equation 3) for forgetting.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def average_score(matrix: Matrix) -> float:
    """Of all tasks after the last one."""
    return float(matrix[-1].mean())


def forgetting(matrix: Matrix) -> float:
    """How far the last score of a task is below the best that it had before, on average over all but the last task."""
    return float((matrix[:-1].max(0) - matrix[-1])[:-1].mean())


def backward_transfer(matrix: Matrix) -> float:
    """How much later tasks have changed the score that a task had when it was learned, over all but the last."""
    return float((matrix[-1] - matrix.diagonal())[:-1].mean())


def measures(matrix: Matrix) -> dict[str, float]:
    """All of them; raises ValueError for fewer than two tasks, of which none could be forgotten."""
    if len(matrix) < 2:
        raise ValueError("there is nothing to forget before the second task")
    return {
        "accuracy": average_score(matrix),
        "forgetting": forgetting(matrix),
        "backward_transfer": backward_transfer(matrix),
    }
