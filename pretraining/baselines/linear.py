"""Linear models of scikit-learn: baselines for networks, and probes of features.

Their one number, the strength of the penalty, is chosen by the validation split, as a network's last epoch is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretraining.calibration import best_temperature
from pretraining.measures import class_measures, number_measures
from training.data.dataset import Dataset
from training.data.preprocessing import PreprocessingConfig, check_numbers
from training.data.splits import Splits
from training.extras import extra

STRENGTHS = tuple(10.0**exponent for exponent in range(-4, 4))

_COMPARED = ("accuracy", "f1_macro", "log_likelihood", "calibration_error", "auc")


class Arrays(NamedTuple):
    """Inputs [S, F], dense or sparse, and targets [S] of one split."""

    inputs: Any
    target: NDArray[Any]


def flat(data: Dataset) -> Arrays:
    """The inputs of a dataset as numbers [S, F], its categories one-hot and its pixels from 0 to 1."""
    parts = []
    for key, space in data.inputs.items():
        values = data.array(key)
        if hasattr(space, "n"):
            parts.append(np.eye(int(space.n))[values])
        else:
            most = 255.0 if space.dtype == np.uint8 else 1.0
            parts.append(values.reshape(len(values), -1) / most)
    return Arrays(np.concatenate(parts, 1).astype(np.float64), data.array("target"))


def logistic_regression(
    splits: Splits | Sequence[Arrays],
    *,
    score: str = "log_likelihood",
    scale: bool = True,
    strengths: Sequence[float] = STRENGTHS,
    folds: int = 0,
) -> dict[str, float]:
    """The measures of the test split (`class_measures`) with the penalty that has the best `score`, among the inverses
    of `strengths`. With `scale` the inputs are standardized by the training split; `folds` is that of `tuned`."""
    with extra("data"):
        from sklearn.linear_model import LogisticRegression
    scaled: Any = [standardized()] if scale else ["passthrough"]
    grid = {"scale": scaled, "model__C": list(strengths)}
    found = tuned(LogisticRegression(max_iter=2_000), [grid], arrays(splits), score=score, folds=folds)
    return found.measures | {"penalty_strength": 1.0 / found.chosen["model__C"]}


def ridge(splits: Splits | Sequence[Arrays], *, score: str = "r2") -> dict[str, float]:
    """The measures of the test split (`number_measures`) of the ridge regression that is chosen in the same way."""
    with extra("data"):
        from sklearn.linear_model import Ridge
    parts = arrays(splits)
    samples = len(parts[0].target)
    grid = {"scale": [standardized()], "model__alpha": [strength * samples for strength in STRENGTHS]}
    found = tuned(Ridge(), [grid], parts, score=score)
    return found.measures | {"penalty_strength": found.chosen["model__alpha"] / samples}


class Tuned(NamedTuple):
    """A model that was chosen from a grid."""

    measures: dict[str, float]
    """Of the test split."""
    score: float
    """By which it was chosen."""
    chosen: dict[str, Any]


def tuned(
    model: Any, grid: Sequence[Mapping[str, Any]], parts: Sequence[Arrays], *, score: str, folds: int = 0
) -> Tuned:
    """A model of scikit-learn with the best of a grid, learned from the training split alone.

    Args:
        model: a classifier with a `decision_function`, or a regressor.
        grid: for scikit-learn's `GridSearchCV`, of a pipeline of `scale` and `model`.
        parts: training, validation and test split. The validation split chooses the temperature of classifiers too, as
            that of a network's.
        score: accuracy, auc, log_likelihood or r2.
        folds: 0: the validation split chooses; otherwise cross-validation of the training split, which is better where
            there are few samples to validate with. At most as many as each class has samples there.
    """
    with extra("data"):
        from sklearn.base import clone, is_classifier
        from sklearn.model_selection import GridSearchCV, PredefinedSplit
        from sklearn.pipeline import Pipeline
    train, validation, test = parts
    if folds and is_classifier(model):
        folds = min(folds, int(np.bincount(train.target).min()))
        folds = folds if folds > 1 else 0
    seen = train if folds else _joined(train, validation)
    chooses = folds or PredefinedSplit([-1] * len(train.target) + [0] * len(validation.target))
    pipeline = Pipeline([("scale", "passthrough"), ("model", model)])
    measures: Any = _class_measures if is_classifier(model) else _number_measures
    scoring = lambda fitted, inputs, target: measures(fitted, inputs, target)[score]  # noqa: E731
    search = GridSearchCV(pipeline, list(grid), scoring=scoring, cv=chooses, refit=False)
    search.fit(seen.inputs, seen.target)
    best = clone(pipeline).set_params(**search.best_params_).fit(train.inputs, train.target)
    if is_classifier(model):
        temperature = best_temperature(_logits(best, validation.inputs), torch.from_numpy(validation.target))
        measured = _class_measures(best, test.inputs, test.target, temperature)
    else:
        measured = _number_measures(best, test.inputs, test.target)
    return Tuned(measured, float(search.best_score_), search.best_params_)


def standardized() -> Any:
    """Each column to mean 0 and variance 1."""
    with extra("data"):
        from sklearn.preprocessing import StandardScaler
    return StandardScaler()


def arrays(splits: Splits | Sequence[Arrays]) -> list[Arrays]:
    """The splits as numbers. Raises UserError for what is missing or infinite."""
    if isinstance(splits, Splits):
        check_numbers(splits, PreprocessingConfig())
    return [flat(part) if isinstance(part, Dataset) else part for part in splits]


def _joined(first: Arrays, second: Arrays) -> Arrays:
    from scipy import sparse

    stack = sparse.vstack if sparse.issparse(first.inputs) else np.concatenate
    return Arrays(stack([first.inputs, second.inputs]), np.concatenate([first.target, second.target]))


def _logits(model: Any, inputs: Any) -> Tensor:
    """[S, classes]; of two classes a model says how much more likely the second one is."""
    said = torch.from_numpy(np.asarray(model.decision_function(inputs), np.float64))
    return said if said.dim() == 2 else torch.stack([torch.zeros_like(said), said], 1)


def _class_measures(model: Any, inputs: Any, target: NDArray[Any], temperature: float = 1.0) -> dict[str, float]:
    measured = class_measures(_logits(model, inputs), torch.from_numpy(target), temperature)
    return {key: value for key, value in measured.items() if key in _COMPARED}


def _number_measures(model: Any, inputs: Any, target: NDArray[Any]) -> dict[str, float]:
    return number_measures(model.predict(inputs), target)


def compared(measured: Mapping[str, float], baseline: Mapping[str, float], name: str) -> dict[str, float]:
    """`<name>/<measure>` of a baseline, and how much the test split's measure is over it, `over_<name>/<measure>`."""
    over = {key: measured[f"test/{key}"] - value for key, value in baseline.items() if f"test/{key}" in measured}
    return {f"{name}/{k}": v for k, v in baseline.items()} | {f"over_{name}/{k}": v for k, v in over.items()}


def against(
    name: str, baseline: Callable[[], Mapping[str, float]]
) -> Callable[[Any, Mapping[str, float]], dict[str, float]]:
    """A `measure` for `recipe.train`: `compared` with a baseline.

    It learns after the network, so that a run begins at once, and once for the end and the best checkpoint.
    """
    learned = cache(baseline)
    return lambda _, found: compared(found, learned(), name)
