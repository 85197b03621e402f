"""The steps of recorded episodes as samples, for what learns from data."""

from __future__ import annotations

import numpy as np

from envs.episodes.datasets import read_dataset
from training.data.dataset import Dataset
from training.data.sources import of_arrays


def minari_steps(name: str) -> Dataset:
    """The observations and actions of a Minari dataset, each step a sample and each episode a `group`."""
    episodes = read_dataset(name)
    samples = {key: value.numpy() for key, value in episodes.samples().items()}
    group = np.repeat(np.arange(len(episodes)), episodes.lengths)
    seen = {
        key.removeprefix("obs").lstrip("/") or "obs": value for key, value in samples.items() if key.startswith("obs")
    }
    alone = seen["obs"] if list(seen) == ["obs"] else seen
    return of_arrays(alone, samples.get("action"), name, group=group)
