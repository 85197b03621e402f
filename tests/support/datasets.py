"""Small datasets as Minari's own users write them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minari
import numpy as np
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

from envs.episodes.dataset_folders import find_dataset

SPACES = spaces.Box(-10, 10, (2,), np.float32), spaces.Box(-2, 2, (1,), np.float32)


def buffer(steps: int = 3, **changes: Any) -> EpisodeBuffer:
    """An episode as Minari's own users write it, in `SPACES`."""
    parts: dict[str, Any] = {
        "observations": np.arange(2 * steps + 2, dtype=np.float32).reshape(steps + 1, 2),
        "actions": np.linspace(-2, 2, steps, dtype=np.float32).reshape(steps, 1),
        "rewards": [0.5 * step for step in range(steps)],
        "terminations": [False] * steps,
        "truncations": [False] * (steps - 1) + [True],
    }
    return EpisodeBuffer(**(parts | changes))


def write(name: str, *buffers: EpisodeBuffer, data_format: str = "hdf5", own: Any = SPACES, **options: Any) -> None:
    """A dataset written by Minari."""
    data = Path(os.environ["MINARI_DATASETS_PATH"], name, "data")
    data.parent.mkdir(parents=True)
    storage = MinariStorage.new(data, *own, data_format=data_format, **options)
    storage.update_metadata({"dataset_id": name, "minari_version": minari.__version__})
    storage.update_episodes(list(buffers))


def change_metadata(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    file = find_dataset(name) / "data" / "metadata.json"
    metadata = json.loads(file.read_text())
    change(metadata)
    file.write_text(json.dumps(metadata))
