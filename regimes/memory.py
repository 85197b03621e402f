"""A memory of samples that were seen: each one ever offered is in it with the same chance."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from training.core import Batch
from training.errors import require
from training.seeding import generator
from training.state import State


class Reservoir:
    """At most `capacity` samples, a uniform draw of all that were offered (Vitter 1985, algorithm R).

    Its two random streams, for what is kept and for what is drawn, are its own and part of its state.
    """

    def __init__(self, capacity: int, *, seed: int) -> None:
        require(capacity >= 1, "memory", capacity, "at least 1")
        self._capacity, self._offered = capacity, 0
        self._data: Batch = {}
        self._keeps, self._draws = generator(seed, "memory", "keeps"), generator(seed, "memory", "draws")

    def __len__(self) -> int:
        return min(self._offered, self._capacity)

    @property
    def data(self) -> Batch:
        """All that is in it [len, ...]."""
        return {key: value[: len(self)] for key, value in self._data.items()}

    def offer(self, batch: Batch) -> None:
        """Samples [B, ...], each of which is to be offered once."""
        if not self._data:
            self._data = {key: value.new_zeros(self._capacity, *value.shape[1:]) for key, value in batch.items()}
        for row in range(len(next(iter(batch.values())))):
            self._offered += 1
            place = self._offered - 1
            if place >= self._capacity:
                place = _below(self._offered, self._keeps)
            if place < self._capacity:
                for key, value in self._data.items():
                    value[place] = batch[key][row]

    def sample(self, count: int) -> Batch:
        """So many of them [count, ...], each drawn from all."""
        rows: Tensor = torch.randint(len(self), (count,), generator=self._draws)
        return {key: value[rows] for key, value in self._data.items()}

    def state_dict(self) -> State:
        random = {"keeps": self._keeps.get_state(), "draws": self._draws.get_state()}
        return {"data": dict(self._data), "offered": self._offered, "random": random}

    def load_state_dict(self, state: State) -> None:
        self._data = {key: value.clone() for key, value in state["data"].items()}
        self._offered = int(state["offered"])
        self._keeps.set_state(state["random"]["keeps"])
        self._draws.set_state(state["random"]["draws"])


def _below(count: int, rng: Generator) -> int:
    return int(torch.randint(count, (), generator=rng))
