"""Histograms of oriented gradients by hand, and classifiers on them whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from pretraining.baselines.gradients import (
    best_discriminant,
    discriminants,
    histograms_of_gradients,
    nearest_neighbour,
)
from training.data.sources import sklearn_dataset


def test_the_directions_of_a_ramp_are_those_of_its_slope() -> None:
    ramp = np.arange(8)[None, :] * np.ones((8, 1))
    found = histograms_of_gradients(np.stack([8 * ramp, 8 * ramp.T]), cell=4, bins=4)
    assert found.shape == (2, 16)
    for row, direction in zip(found.reshape(2, 4, 4), (0, 2), strict=True):  # to the right: 0 degrees; down: 90
        assert (row[:, direction] > 0.4).all()
        assert np.delete(row, direction, axis=1).max() < 1e-6
    oblique = histograms_of_gradients((ramp + ramp.T)[None], cell=4, bins=2).reshape(4, 2)
    inner = oblique[0]  # 45 degrees is half of both directions, away from the border
    assert 0.5 < inner[0] / inner[1] < 2


def test_a_block_has_length_one_and_brightness_does_not_matter() -> None:
    image = np.random.default_rng(0).integers(0, 128, (3, 12, 12)).astype(np.uint8)
    found = histograms_of_gradients(image)
    assert found.shape == (3, 2 * 2 * 4 * 9)
    assert np.linalg.norm(found.reshape(-1, 36), axis=1) == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(found, histograms_of_gradients(2 * image), atol=1e-5)
    np.testing.assert_allclose(found, histograms_of_gradients(image + 100), atol=1e-5)
    assert not histograms_of_gradients(np.zeros((1, 12, 12), np.uint8)).any()


def test_both_classifiers_read_digits_and_the_discriminant_is_scikit_learns() -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    digits = sklearn_dataset("digits")
    features, target = histograms_of_gradients(digits.array("input"), cell=2), digits.array("target")
    known, asked = slice(0, 1000), slice(1000, None)
    assert (nearest_neighbour(features[known], target[known], features[asked]) == target[asked]).mean() > 0.9
    assert nearest_neighbour(features[known], target[known], features[:5]).tolist() == target[:5].tolist()
    (made,) = discriminants(features[known], target[known], [0.1])
    said = made(features[asked])
    assert (said == target[asked]).mean() > 0.9
    rng = np.random.default_rng(0)
    two = rng.integers(0, 3, 400)
    cloud = (rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4)) + 2 * np.eye(4)[two]).astype(np.float32)
    theirs = LinearDiscriminantAnalysis(priors=[1 / 3] * 3).fit(cloud, two).predict(cloud)
    assert (discriminants(cloud, two, [0.0])[0](cloud) == theirs).mean() > 0.995


def test_the_validation_split_chooses_the_shrinkage() -> None:
    rng = np.random.default_rng(0)
    known, target = rng.normal(size=(40, 60)).astype(np.float32), np.arange(40) % 2
    known[:, 0] += 3 * target
    asked = rng.normal(size=(400, 60)).astype(np.float32)
    truth = np.arange(400) % 2
    asked[:, 0] += 3 * truth
    best = best_discriminant(known, target, (asked, truth), shrinkages=(1e-6, 1.0))
    chosen, others = ((one(asked) == truth).mean() for one in (best, discriminants(known, target, [1e-6])[0]))
    assert chosen >= others
    assert chosen > 0.7
