"""The linear probe: how well a linear model tells the classes apart by given features, with few labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pretraining.baselines.linear import Arrays, logistic_regression
from training.core import Batch
from training.data.dataset import Dataset
from training.data.splits import Splits
from training.seeding import generator


def labelled_part(splits: Splits, fraction: float, *, seed: int) -> Splits:
    """The splits with this fraction of the training and of the validation samples, of each class alike."""

    def part(data: Dataset, name: str) -> Dataset:
        rng = np.random.default_rng(generator(seed, "labelled", name).initial_seed())
        target = data.array("target")
        kept = []
        for label in np.unique(target):
            rows = rng.permutation(np.flatnonzero(target == label))
            kept.append(rows[: max(1, round(fraction * len(rows)))])
        return data.select(np.sort(np.concatenate(kept)))

    return Splits(part(splits.train, "train"), part(splits.validation, "validation"), splits.test)


@torch.no_grad()
def linear_probe(features: Callable[[Batch], Tensor], splits: Splits) -> dict[str, float]:
    """The measures of a logistic regression on `features`, its penalty chosen by cross-validation: labels are few."""

    def read(data: Dataset) -> Arrays:
        found = [features(batch).cpu().numpy() for batch in data.batches(1024)]
        return Arrays(np.concatenate(found).astype(np.float64), data.array("target"))

    return logistic_regression([read(part) for part in splits], score="accuracy", folds=3)
