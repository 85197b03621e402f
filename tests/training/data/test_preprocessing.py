"""What is done to inputs before a network sees them."""

from __future__ import annotations

import numpy as np
import torch

from training.data.preprocessing import Preprocessing, PreprocessingConfig
from training.data.sources import of_arrays, sklearn_dataset
from training.data.splits import SplitConfig, split


def test_standardization_is_fitted_on_the_training_split_alone() -> None:
    from sklearn.preprocessing import StandardScaler

    splits = split(sklearn_dataset("breast_cancer"), SplitConfig("stratified"), seed=1)
    preprocessing = Preprocessing(splits.train.inputs, PreprocessingConfig())
    preprocessing.fit(splits.train)
    by_sklearn = StandardScaler().fit(splits.train.array("input")).transform(splits.test.array("input"))
    ours = preprocessing(splits.test.gather(torch.arange(len(splits.test))))["input"]
    np.testing.assert_allclose(ours.numpy(), by_sklearn.clip(-10, 10), atol=1e-5)


def test_what_is_missing_becomes_the_median_that_the_training_split_has() -> None:
    columns = np.array([[1.0, 5.0], [2.0, np.nan], [9.0, 7.0]], np.float32)
    data = of_arrays(columns, np.array([0, 1, 0]), "made up")
    preprocessing = Preprocessing(data.inputs, PreprocessingConfig(standardize=False, impute_median=True))
    assert preprocessing({"input": torch.tensor([[np.nan, 1.0]])})["input"].tolist() == [[0.0, 1.0]], "nothing is known"
    preprocessing.fit(data)
    assert preprocessing({"input": torch.tensor([[np.nan, np.nan]])})["input"].tolist() == [[2.0, 6.0]]
