"""Ward's clusters are those that are there, also for samples that come later and whatever the shape of a cluster."""

from __future__ import annotations

import numpy as np

from pretraining.baselines.ward import ward
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, split


def test_clusters_that_are_there_are_found_in_samples_that_come_later() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 300)
    x = (10 * np.eye(3)[target] + rng.normal(size=(300, 3))).astype(np.float32)
    splits = split(of_arrays(x, target, "clouds"), SplitConfig("stratified"), seed=1)
    assert ward(splits, 3)["adjusted_rand_index"] == 1.0
    assert ward(splits, 2)["adjusted_rand_index"] < 0.8
    noise = split(of_arrays(rng.normal(size=(300, 3)).astype(np.float32), target, "noise"), SplitConfig(), seed=1)
    assert ward(noise, 3)["adjusted_rand_index"] < 0.1
