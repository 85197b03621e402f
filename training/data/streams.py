"""The streams of learning from data: minibatches of a dataset in random order, and the whole of it as one batch."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from training.core import Batch, Counters
from training.data.dataset import Dataset
from training.errors import require
from training.metrics import Metrics
from training.seeding import generator
from training.state import State


class Samples(Protocol):
    """Data from which samples are picked, in memory or not."""

    def __len__(self) -> int: ...

    def gather(self, rows: Tensor) -> Batch:
        """The samples `rows` [B] as a batch [B, ...]."""
        ...


class InMemory:
    """Samples [S, ...] that are tensors already."""

    def __init__(self, data: Batch) -> None:
        self._data, self._rows = data, len(next(iter(data.values())))
        assert all(len(value) == self._rows for value in data.values()), "a dataset has as many samples under every key"

    def __len__(self) -> int:
        return self._rows

    def gather(self, rows: Tensor) -> Batch:
        return {key: value[rows] for key, value in self._data.items()}


class Shuffled:
    """Minibatches [B, ...] of the samples `data` [S, ...]; in each epoch every sample comes once, in a new order.

    The last minibatch of an epoch is smaller where the others leave less. An order depends on the seed and the epoch
    only, so the position is all that is saved. Raises UserError when there are fewer samples than one minibatch takes.
    """

    def __init__(self, data: Batch | Samples, minibatch_size: int, *, seed: int) -> None:
        samples = InMemory(data) if isinstance(data, dict) else data
        self.rows = len(samples)
        takes = f"1 to {self.rows}, the samples that there are"
        require(1 <= minibatch_size <= self.rows, "minibatch_size", minibatch_size, takes)
        self._samples, self._minibatch_size, self._seed = samples, minibatch_size, seed
        self._go_to(epoch=0, row=0)

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        rows = self._order[self._row : self._row + self._minibatch_size]
        batch = self._samples.gather(rows)
        self._row += len(rows)
        ended = self._row == self.rows
        if ended:
            self._go_to(epoch=self._epoch + 1, row=0)
        return batch, now.advance(samples=len(rows), epochs=int(ended)), {}

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: no sample is preferred."""

    def state_dict(self) -> State:
        return {"epoch": self._epoch, "row": self._row}

    def load_state_dict(self, state: State) -> None:
        self._go_to(**state)

    def _go_to(self, *, epoch: int, row: int) -> None:
        self._epoch, self._row = epoch, row
        self._order = torch.randperm(self.rows, generator=generator(self._seed, "shuffled", epoch))


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
