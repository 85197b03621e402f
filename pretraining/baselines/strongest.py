"""The strongest cheap baseline on pixels and tables: a linear model, a support vector machine, or boosted trees.

All three are scikit-learn's, each tuned by a small grid. The one with the best score there is the baseline, so that the
test split chooses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pretraining.baselines.linear import Arrays, arrays, standardized, tuned
from training.data.splits import Splits
from training.extras import extra

Grid = Sequence[Mapping[str, Any]]
_TREES: dict[str, Any] = {"max_iter": 50, "learning_rate": 0.2, "early_stopping": False, "random_state": 0}
_LEAVES: Grid = [{"model__max_leaf_nodes": [4, 15]}]


def strongest(splits: Splits | Sequence[Arrays], *, score: str, folds: int = 3) -> dict[str, float]:
    """The measures of the test split of the strongest one, and `<name>_<score>` of each.

    `score` and `folds` are those of `tuned`; a score for classes is accuracy or auc. Cross-validation sees more samples
    than most validation splits hold, on which several settings make no error at all.
    """
    parts = arrays(splits)
    models = (_classifiers if np.issubdtype(parts[0].target.dtype, np.integer) else _regressors)(parts[0])
    found = {name: tuned(model, grid, parts, score=score, folds=folds) for name, (model, grid) in models.items()}
    best = max(found.values(), key=lambda one: one.score)
    return best.measures | {f"{name}_{score}": one.measures[score] for name, one in found.items()}


def _classifiers(train: Arrays) -> dict[str, tuple[Any, Grid]]:
    with extra("data"):
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import SVC
    linear = {"scale": [standardized()], "model__C": [1e-3, 1e-2, 0.1, 1.0]}
    return {
        "logistic_regression": (LogisticRegression(max_iter=2_000), [linear]),
        "svm": (SVC(break_ties=True), _kernels(train, (1.0, 10.0, 100.0))),
        "boosting": (HistGradientBoostingClassifier(**_TREES), _LEAVES),
    }


def _regressors(train: Arrays) -> dict[str, tuple[Any, Grid]]:
    with extra("data"):
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.linear_model import Ridge
        from sklearn.svm import SVR
    penalties = [strength * len(train.target) for strength in (1e-3, 1e-2, 0.1, 1.0, 10.0)]
    spread = float(train.target.std())  # errors within a tenth of it count nothing, and a penalty is in its unit
    return {
        "ridge": (Ridge(), [{"scale": [standardized()], "model__alpha": penalties}]),
        "svm": (SVR(epsilon=0.1 * spread), _kernels(train, (0.3 * spread, spread, 3.0 * spread))),
        "boosting": (HistGradientBoostingRegressor(**_TREES), _LEAVES),
    }


def _kernels(train: Arrays, strengths: Sequence[float]) -> Grid:
    """Widths around the usual 1 / (columns * variance); columns are standardized or, as is better for pixels, not."""
    columns = train.inputs.shape[1]
    return [
        {
            "scale": [scale],
            "model__C": list(strengths),
            "model__gamma": [factor / (columns * variance) for factor in (0.3, 1.0, 3.0)],
        }
        for scale, variance in ((standardized(), 1.0), ("passthrough", float(train.inputs.var())))
    ]
