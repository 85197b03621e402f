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
    """The inputs of a dataset as numbers [S, F], its categories one-hot."""
    parts = []
    for key, space in data.inputs.items():
        values = data.array(key)
        parts.append(np.eye(int(space.n))[values] if hasattr(space, "n") else values.reshape(len(values), -1))
    return Arrays(np.concatenate(parts, 1).astype(np.float64), data.array("target"))


def logistic_regression(
    splits: Splits | Sequence[Arrays],
    *,
    score: str = "log_likelihood",
    scale: bool = True,
    strengths: Sequence[float] = STRENGTHS,
) -> dict[str, float]:
    """The measures of the test split (`class_measures`) with the penalty that has the best `score` on the validation
    split, among the inverses of `strengths`. With `scale` the inputs are standardized by the training split."""
    with extra("data"):
        from sklearn.linear_model import LogisticRegression
    train, validation, test = _scaled(splits, scale)
    found = []
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=2_000).fit(train.inputs, train.target)

        def measures(part: Arrays, model: Any = model) -> dict[str, float]:
            logits = np.log(np.clip(model.predict_proba(part.inputs), 1e-12, None))
            return class_measures(torch.from_numpy(logits), torch.from_numpy(part.target), 1.0)

        found.append((measures(validation)[score], strength, measures(test)))
    _, strength, measured = max(found, key=lambda one: one[0])
    calibrated = {key: value for key, value in measured.items() if key in _COMPARED}
    return calibrated | {"penalty_strength": 1.0 / strength}


def ridge(splits: Splits | Sequence[Arrays], *, score: str = "r2") -> dict[str, float]:
    """The measures of the test split (`number_measures`) of the ridge regression that is chosen in the same way."""
    with extra("data"):
        from sklearn.linear_model import Ridge
    train, validation, test = _scaled(splits, scale=True)
    found = []
    for strength in STRENGTHS:
        model = Ridge(alpha=strength * len(train.target)).fit(train.inputs, train.target)
        chosen = number_measures(model.predict(validation.inputs), validation.target)[score]
        found.append((chosen, strength, number_measures(model.predict(test.inputs), test.target)))
    _, strength, measured = max(found, key=lambda one: one[0])
    return measured | {"penalty_strength": strength}


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


def _scaled(splits: Splits | Sequence[Arrays], scale: bool) -> tuple[Arrays, Arrays, Arrays]:
    if isinstance(splits, Splits):
        check_numbers(splits, PreprocessingConfig())
    parts = [flat(part) if isinstance(part, Dataset) else part for part in splits]
    if scale:
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(parts[0].inputs)
        parts = [Arrays(scaler.transform(part.inputs), part.target) for part in parts]
    train, validation, test = parts
    return train, validation, test
