"""The strongest baseline is chosen without the test split, and finds what each of its models is good at."""

from __future__ import annotations

import numpy as np
import pytest

from pretraining.baselines.strongest import strongest
from training.data.sources import of_arrays, sklearn_dataset
from training.data.splits import SplitConfig, Splits, split


def made_up(kind: str) -> Splits:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)).astype(np.float32)
    target = {
        "plane": x @ np.float32([3, -2, 1]),
        "circle": ((x[:, :2] ** 2).sum(1) > 1.4).astype(np.int64),
        "steps": np.float32(4 * (x[:, 0] > 0.3) - 7 * (x[:, 0] < -0.7) + 5 * (x[:, 1] > 0.2)),
    }[kind]
    return split(of_arrays(x, target, kind), SplitConfig(), seed=1)


@pytest.mark.parametrize(
    ("kind", "score", "winner"), [("plane", "r2", "ridge"), ("circle", "auc", "svm"), ("steps", "r2", "boosting")]
)
def test_each_model_wins_where_it_should(kind: str, score: str, winner: str) -> None:
    found = strongest(made_up(kind), score=score)
    assert found[score] == found[f"{winner}_{score}"] > 0.95
    assert sum(key.endswith(f"_{score}") for key in found) == 3


def test_a_changed_test_split_changes_no_choice() -> None:
    splits = made_up("circle")
    other = splits._replace(test=splits.test.select(np.arange(20)))
    first, second = (strongest(parts, score="accuracy") for parts in (splits, other))
    assert first["accuracy"] == first["svm_accuracy"]
    assert second["accuracy"] == second["svm_accuracy"]


def test_few_labels_are_enough_to_tune_by_cross_validation() -> None:
    digits = sklearn_dataset("digits")
    few = split(digits.select(np.arange(300)), SplitConfig("stratified", validation=0.1, test=0.5), seed=1)
    assert strongest(few, score="accuracy")["accuracy"] > 0.85


def test_a_class_with_one_sample_is_tuned_by_the_validation_split() -> None:
    splits = made_up("circle")
    target = splits.train.array("target")
    one = np.concatenate([np.flatnonzero(target == 0)[:20], np.flatnonzero(target == 1)[:1]])
    assert strongest(splits._replace(train=splits.train.select(one)), score="accuracy")["accuracy"] > 0.3
