"""Linear baselines: the penalty is the best one of the validation split, and the comparison says who is ahead."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pretraining.baselines.linear import Arrays, against, flat, logistic_regression, ridge
from tests.support.data import clouds
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, split


def test_the_penalty_is_the_one_that_validation_likes_best() -> None:
    splits = clouds()
    found = logistic_regression(splits, score="log_likelihood", strengths=(1e-4, 1.0))
    assert found["penalty_strength"] == 1.0  # 1e4 would leave the classes alike
    assert found["accuracy"] == 1.0
    train, _, test = (flat(part) for part in splits)
    scaler = StandardScaler().fit(train.inputs)
    model = LogisticRegression(C=1.0, max_iter=2_000).fit(scaler.transform(train.inputs), train.target)
    rows = np.arange(len(test.target))
    likelihood = model.predict_log_proba(scaler.transform(test.inputs))[rows, test.target].mean()
    assert found["log_likelihood"] >= likelihood  # its temperature is that of the validation split


def test_ridge_finds_a_plane() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    splits = split(of_arrays(x, x @ np.float32([1, -2, 3]) + 5, "a plane"), SplitConfig(), seed=1)
    assert ridge(splits)["r2"] > 0.999


def test_categories_are_one_hot() -> None:
    data = of_arrays({"a": np.array([[0.5], [1.5]], np.float32), "b": np.array([2, 0])}, np.array([1, 0]), "made up")
    inputs, target = flat(data)
    assert inputs.tolist() == [[0.5, 0, 0, 1], [1.5, 1, 0, 0]]
    assert target.tolist() == [1, 0]


def test_a_comparison_learns_its_baseline_once_and_after_the_network() -> None:
    learned: list[int] = []

    def baseline() -> dict[str, float]:
        learned.append(1)
        return {"accuracy": 0.5, "penalty_strength": 2.0}

    measure = against("linear", baseline)
    assert not learned
    expected = {"linear/accuracy": 0.5, "linear/penalty_strength": 2.0, "over_linear/accuracy": 0.25}
    assert measure(None, {"test/accuracy": 0.75}) == measure(None, {"test/accuracy": 0.75}) == expected
    assert len(learned) == 1


def test_pixels_are_from_0_to_1() -> None:
    image = np.array([[[0, 255], [51, 0]], [[1, 2], [3, 4]]], np.uint8)
    assert flat(of_arrays(image, np.array([1, 0]), "made up")).inputs[0].tolist() == [0, 1, 0.2, 0]


def test_sparse_inputs_give_what_dense_ones_do() -> None:
    parts = [flat(part) for part in clouds()]
    scaled = [Arrays(part.inputs / [1, 100, 0.01], part.target) for part in parts]
    thin = [Arrays(csr_array(part.inputs), part.target) for part in scaled]
    dense, sparse = (logistic_regression(parts, scale=False, strengths=(0.01, 1.0)) for parts in (scaled, thin))
    assert dense == pytest.approx(sparse, rel=1e-3, abs=1e-6)
