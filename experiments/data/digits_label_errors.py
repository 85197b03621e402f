"""Labels of digits that were turned into others are found by confident learning, and none of the clean ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.claims import Claim
from training.core import Counters
from training.data.quality.labels import doubtful, out_of_fold
from training.data.quality.rows import standardized
from training.data.sources import sklearn_dataset
from training.extras import extra
from training.recipe import MeasureConfig
from training.run.run import Run

CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class Config(MeasureConfig):
    """How many labels are turned, and how many digits are kept aside with their true labels."""

    few: float = 0.08
    many: float = 0.2
    test: float = 0.3


# A precision of 0.8 leaves a person who looks at what is flagged one good label in five. The seeds split and turn anew,
# of the same 1,797 digits.
RESPLIT = Config().test / (1 - Config().test)
CLAIMS = (
    Claim("few/recall", ">=", 0.75, seeds=10, resplit=RESPLIT),
    Claim("few/precision", ">=", 0.8, seeds=10, resplit=RESPLIT),
    Claim("clean/flagged", "<=", 0.003, seeds=10, resplit=RESPLIT),
    Claim("cleaned_over_all/accuracy", ">=", 0.01, seeds=10, resplit=RESPLIT),
)


def train(config: Config, run: Run) -> None:
    """Nothing is trained but the models that the labels are compared with, and an SVM with and without the doubted."""
    digits = sklearn_dataset("digits")
    inputs, _ = standardized(digits.array("input").reshape(len(digits), -1).astype(np.float32))
    labels = digits.array("target")
    rng = np.random.default_rng(config.seed)
    order = rng.permutation(len(labels))
    aside, kept = np.split(order, [round(config.test * len(order))])
    inputs_aside, labels_aside, inputs, labels = inputs[aside], labels[aside], inputs[kept], labels[kept]

    clean = _flagged(inputs, labels, config.seed)
    measured = {"clean/flagged": float(clean.mean())}
    for name, share in (("few", config.few), ("many", config.many)):
        given = labels.copy()
        turned = rng.random(len(labels)) < share
        given[turned] = (given[turned] + rng.integers(1, CLASSES, int(turned.sum()))) % CLASSES
        flagged = _flagged(inputs, given, config.seed)
        measured[f"{name}/precision"] = float(turned[flagged].mean()) if flagged.any() else 0.0
        measured[f"{name}/recall"] = float(flagged[turned].mean())
    with_all = _accuracy(inputs, given, inputs_aside, labels_aside)
    without = _accuracy(inputs[~flagged], given[~flagged], inputs_aside, labels_aside)
    measured |= {"all/accuracy": with_all, "cleaned/accuracy": without, "cleaned_over_all/accuracy": without - with_all}
    run.finish(Counters(), metrics=measured)


def _flagged(inputs: NDArray[np.float64], labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    return doubtful(out_of_fold(inputs, labels, seed=seed), labels)


def _accuracy(
    inputs: NDArray[np.float64], labels: NDArray[np.int64], test: NDArray[np.float64], true: NDArray[np.int64]
) -> float:
    with extra("data"):
        from sklearn.svm import SVC
    return float(SVC(C=10.0).fit(inputs, labels).score(test, true))
