"""What is measured of classes, numbers and clusters: by hand, and that a right temperature calibrates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pretraining.measures import class_measures, cluster_measures, number_measures
from training.seeding import generator


def test_a_right_temperature_calibrates() -> None:
    rng = generator(1, "logits")
    logits = 2 * torch.randn(20_000, 5, generator=rng)
    drawn = torch.multinomial(torch.softmax(logits, -1), 1, generator=rng).squeeze(1)
    over = class_measures(3 * logits, drawn, 3.0)
    assert over["calibration_error"] < 0.02 < over["calibration_error_uncalibrated"]
    assert over["log_likelihood"] > over["log_likelihood_uncalibrated"]


def test_classes_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    found = class_measures(logits, torch.tensor([0, 0, 1]), 1.0)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["f1_macro"] == pytest.approx((1 / 2 + 0) / 2)
    by_hand = [np.log(1 + np.exp(-2)), np.log(1 + np.e), np.log(1 + np.e)]
    assert found["log_likelihood"] == pytest.approx(-np.mean(by_hand))
    assert found["auc"] == pytest.approx(0.5)  # the one of class 1 is before one of the others and behind the other


def test_numbers_by_hand() -> None:
    found = number_measures(np.array([1.0, 2.0, 6.0]), np.array([1.0, 3.0, 5.0]))
    assert found["r2"] == pytest.approx(1 - 2 / 8)
    assert found["root_squared_error"] == pytest.approx((2 / 3) ** 0.5)
    assert found["absolute_error"] == pytest.approx(2 / 3)


def test_clusters_are_compared_whatever_their_numbers() -> None:
    classes = torch.tensor([0, 0, 1, 1])
    same = cluster_measures(torch.tensor([7, 7, 3, 3]), classes)
    assert same == {"adjusted_rand_index": 1.0, "normalized_mutual_information": pytest.approx(1.0)}
    assert cluster_measures(torch.tensor([0, 1, 0, 1]), classes)["adjusted_rand_index"] <= 0
    assert cluster_measures(classes, None) == {}
