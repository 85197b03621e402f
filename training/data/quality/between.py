"""Faults between splits: what is in two of them, and what tells one from the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.data.quality.finding import Finding
from training.data.quality.rows import FEW, NEAR
from training.extras import extra

APART = 0.6
"""The area under the curve by which a classifier may tell two splits apart; 0.5 is chance."""
MOST_ROWS = 2_000


def drift(one: NDArray[np.float32], other: NDArray[np.float32], where: str, *, seed: int = 0) -> Iterator[Finding]:
    """A classifier that sees which split a row is of learns it where they differ (a two-sample test by classification,
    Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545)."""
    with extra("data"):
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
    rng = np.random.default_rng(seed)
    parts = [rows[rng.permutation(len(rows))[:MOST_ROWS]] for rows in (one, other)]
    if min(map(len, parts)) < 50:
        return
    which = np.repeat([0, 1], [len(part) for part in parts])
    trees = HistGradientBoostingClassifier(
        max_iter=20, learning_rate=0.3, max_leaf_nodes=8, class_weight="balanced", random_state=seed
    )
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    said = cross_val_predict(trees, np.concatenate(parts), which, cv=folds, method="predict_proba")[:, 1]
    area = float(roc_auc_score(which, said))
    # At most the deviation of a mean over the smaller part.
    certain = area - 3 * np.sqrt(area * (1 - area) / min(map(len, parts)))
    if certain > APART:
        told = f"a classifier tells them apart (area under the curve {area:.2f}; 0.5 is chance)"
        yield Finding(
            "drift", where, told, 1.0, (), "was the split by time, place or person? Then measure that on purpose"
        )


def shared(one: NDArray[np.float32], other: NDArray[np.float32], where: str) -> Iterator[Finding]:
    """Rows of the later split that are, or nearly are, in the earlier one."""
    with extra("data"):
        from sklearn.neighbors import NearestNeighbors
    both = np.concatenate([one, other]).astype(np.float64)
    spread = both.std(0)
    scaled = both[:, spread > 0] / spread[spread > 0]
    if not scaled.shape[1] or len(one) < 2 or not np.isfinite(scaled).all():
        return
    early, late = scaled[: len(one)], scaled[len(one) :]
    nearest = NearestNeighbors(n_neighbors=2).fit(early)
    usual = float(np.median(nearest.kneighbors(early)[0][:, 1]))
    rows = np.flatnonzero(nearest.kneighbors(late, 1)[0][:, 0] <= NEAR * usual)
    if len(rows):
        told = f"{len(rows):,} rows of the later are, or nearly are, in the earlier"
        share = len(rows) / len(other)
        level = "wrong" if share >= FEW else "note"
        change = "split by group, or leave them out (split.leaks = 'drop')"
        yield Finding("split leak", where, told, share, rows.tolist(), change, level)
