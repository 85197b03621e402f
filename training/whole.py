"""The stream of what learns from all data at once: one batch, the whole dataset."""

from __future__ import annotations

import torch

from training.core import Batch, Counters, State
from training.dataset import Dataset
from training.metrics import Metrics


class Whole:
    """All samples [S, ...] in their order as one batch, which is one epoch."""

    def __init__(self, data: Dataset) -> None:
        self._data = data

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        batch = self._data.gather(torch.arange(len(self._data)))
        return batch, now.advance(samples=len(self._data), epochs=1), {}

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: there is no other batch."""

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """It has no position."""
