"""What a predictor says of each sample: the worst, the confusion, the calibration."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from pretraining.predictions import Predictions, predictions
from pretraining.predictor import PredictorConfig, new_predictor
from training.data.sources import sklearn_dataset
from training.networks import NetworkConfig

SAID = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]])


def test_the_worst_are_those_whose_class_was_the_least_likely() -> None:
    found = Predictions(SAID, np.array([1, 0, 1, 0]))
    assert found.worst(2).tolist() == [0, 3]
    assert found.distance == pytest.approx(-np.log([0.1, 0.6, 0.8, 0.5]))
    assert found.confusion.tolist() == confusion_matrix(found.target, SAID.argmax(1)).tolist() == [[2, 0], [1, 1]]


def test_of_numbers_they_are_the_furthest() -> None:
    found = Predictions(np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 1.0], np.float32))
    assert not found.of_classes
    assert found.worst(2).tolist() == [2, 0]
    said, true, count = found.reliability
    assert (said.tolist(), true.tolist(), count.tolist()) == ([1.0, 2.0, 3.0], [1.5, 2.0, 1.0], [1, 1, 1])


@pytest.mark.parametrize("name", ["breast_cancer", "diabetes"])
def test_every_sample_is_predicted_whatever_the_minibatch(name: str) -> None:
    data = sklearn_dataset(name)  # type: ignore[arg-type]
    model = new_predictor(data, PredictorConfig(network=NetworkConfig(hidden=(4,))), 1)
    found = predictions(model, data, 100)
    assert len(found.said) == len(found.target) == len(data)
    assert found.said == pytest.approx(predictions(model, data, len(data)).said, abs=1e-6)
    if found.of_classes:
        assert found.said.sum(1) == pytest.approx(np.ones(len(data)))
