"""The steps of recorded episodes as samples, for what learns from data."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from envs.episodes.datasets import read_dataset
from training.data.dataset import Dataset
from training.data.sources import of_arrays


def minari_steps(name: str) -> Dataset:
    """The observations and actions of a Minari dataset, each step a sample and each episode a `group`.

    Discrete actions are classes whose labels are the environment's own numbers, a Box of floats are numbers; of other
    actions there is no `target`.
    """
    episodes = read_dataset(name)
    samples = {key: value.numpy() for key, value in episodes.samples().items()}
    group = np.repeat(np.arange(len(episodes)), episodes.lengths)
    seen = {
        key.removeprefix("obs").lstrip("/") or "obs": value for key, value in samples.items() if key.startswith("obs")
    }
    alone = seen["obs"] if list(seen) == ["obs"] else seen
    space = episodes.action_space
    labels = [str(int(space.start) + i) for i in range(int(space.n))] if isinstance(space, spaces.Discrete) else None
    said = labels is not None or (isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating))
    return of_arrays(alone, samples["action"] if said else None, name, labels=labels, group=group)
