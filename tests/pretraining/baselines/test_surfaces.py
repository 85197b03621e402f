"""Baselines of inspection: what is odd is odder, and the setting is the one that says so best."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pretraining.baselines.surfaces import best_baselines, binary_patterns, pca_residual


def stripes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    wave = 128 + 60 * np.sin(np.arange(16)[None, None] + phase)
    return np.broadcast_to(wave, (count, 16, 16)) + rng.normal(0, 3, (count, 16, 16))


def test_what_is_odd_is_odder() -> None:
    good, test = stripes(100, 0), stripes(40, 1)
    test[20:, 4:9, 4:9] += 40
    bad = np.arange(40) >= 20
    assert roc_auc_score(bad, pca_residual(good, components=4)(test)) > 0.95
    pytest.importorskip("skimage")
    noisy = stripes(40, 2)
    noisy[20:] = np.random.default_rng(3).permuted(noisy[20:].reshape(20, -1), axis=1).reshape(20, 16, 16)
    assert roc_auc_score(bad, binary_patterns(good, radius=1)(noisy)) > 0.95


def test_the_setting_is_chosen_by_the_validation_patches() -> None:
    good, validation = stripes(100, 0), stripes(40, 1)
    validation[20:, 4:9, 4:9] += 20
    tried = []

    def make(seen: np.ndarray, *, sign: float) -> object:
        tried.append(sign)
        return lambda patches: sign * (patches - seen.mean())[:, 4:9, 4:9].mean((1, 2))

    grids = {"made up": (make, ({"sign": -1.0}, {"sign": 1.0}))}
    chosen = best_baselines(good, validation, np.arange(40) >= 20, grids)["made up"]
    assert tried == [-1.0, 1.0]
    assert chosen(np.full((1, 16, 16), 255.0)) > 0
