"""Faults of classes: labels that are probably wrong, and classes that are rare.

Label errors are found by confident learning (Northcutt, Jiang and Chuang 2021, https://arxiv.org/abs/1911.00068), by
cleanlab, from probabilities that a model gives samples that it has not learned from: those of samples that it has seen
show nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.data.quality.finding import Finding
from training.data.quality.rows import standardized
from training.extras import extra

FOLDS = 5
FEWEST = 0.02
"""Of all labels: as many are doubted where the classes overlap a little. On five clean tables it was 0 to 1 %."""
CONFIDENT = 0.4
"""Of the doubted labels so many must be contradicted by a confident prediction."""
ONE_SIDED = 4.0
"""A class that is doubted so many times as often as all together is not recognized, rather than mislabelled."""
RARE = 0.05
"""Of the size of the largest class."""


def label_errors(table: NDArray[np.float32], target: NDArray[np.int64], groups: NDArray[np.generic] | None = None,
                 *, seed: int = 0) -> Iterator[Finding]:  # fmt: skip
    """Labels that a model of the other samples contradicts. Where classes overlap, so that this is no error, a note."""
    scaled, kept = standardized(table)
    labels = target[kept]
    counts = np.bincount(labels)
    if len(scaled) < 10 * FOLDS or (counts < FOLDS).any() or len(counts) < 2:
        return
    said = out_of_fold(scaled, labels, None if groups is None else groups[kept], seed=seed)
    doubted = doubtful(said, labels)
    share = float(doubted.mean())
    if not share:
        return
    given = said[np.arange(len(labels)), labels]
    sure = float(((given < 0.1) & (said.max(1) > 0.7))[doubted].mean())
    by_class = np.bincount(labels[doubted], minlength=len(counts)) / counts
    overlap = sure < CONFIDENT or by_class.max() > ONE_SIDED * share
    rows = np.flatnonzero(doubted)[np.argsort(given[doubted])]
    told = f"{len(rows):,} of {len(labels):,} labels are contradicted by a model of the other samples"
    if overlap:
        told += ", as is so where classes overlap"
    yield Finding("label errors", "target", told, share, kept[rows].tolist(), "look at them, the first ones first",
                  "wrong" if share >= FEWEST and not overlap else "note")  # fmt: skip


def out_of_fold(
    inputs: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.generic] | None = None, *, seed: int = 0
) -> NDArray[np.float64]:
    """Probabilities [S, classes] of a kernel machine that has not seen the sample, nor its group."""
    with extra("data"):
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = kind(FOLDS, shuffle=True, random_state=seed)
    # Rows are standardized already. The width is half of the usual 1 / columns, as so many columns are correlated.
    kernel = Nystroem(gamma=0.5 / inputs.shape[1], n_components=min(300, len(inputs) // 2), random_state=seed)
    machine = make_pipeline(kernel, LogisticRegression(C=10.0, max_iter=1_000))
    said = cross_val_predict(machine, inputs, labels, groups=groups, cv=folds, method="predict_proba")
    return np.asarray(said, np.float64)


def doubtful(said: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which labels [S] the out-of-fold probabilities [S, classes] contradict, by cleanlab."""
    with extra("quality"):
        from cleanlab.filter import find_label_issues
    return np.asarray(find_label_issues(labels, said, filter_by="both", n_jobs=1), np.bool_)


def imbalance(target: NDArray[np.int64], names: tuple[str, ...]) -> Iterator[Finding]:
    """Classes that are rare beside the largest one."""
    counts = np.bincount(target, minlength=len(names))
    for label in np.flatnonzero((counts < RARE * counts.max()) & (counts > 0)):
        name = names[label] if names else str(label)
        said = f"{counts[label]:,} samples, and {counts.max():,} of the largest class"
        yield Finding("imbalance", f"class {name}", said, float(counts[label] / len(target)), (),
                      "measure balanced accuracy, and weigh the classes")  # fmt: skip
