"""Games of which every move is searched for; each is seen from another side in every rollout, where it has several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.acting.collector import Group, LocalCollector
from agents.policies.policy import Mode, Policy
from training.core import Batch
from training.metrics import Metrics

Symmetries = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Of a board: which cell [K, C] and which move [K, A] takes whose place."""


class SearchedGames(LocalCollector):
    """Games of a board, played by what `search_by` makes of the newest policy."""

    def __init__(
        self,
        make_group: Callable[[int], Group],
        groups: int,
        *,
        search_by: Callable[[Any], Policy],
        symmetries: Symmetries,
    ) -> None:
        super().__init__(make_group, groups)
        self._search_by, self._symmetries, self._version = search_by, symmetries, 0

    def publish(self, policy: Policy, version: int) -> None:
        self._version = version
        super().publish(self._search_by(policy), version)

    def collect(self, horizon: int, mode: Mode = "explore") -> tuple[Batch, Metrics]:
        batch, metrics = super().collect(horizon, mode)
        return turned(batch, self._symmetries, self._version), metrics


def turned(batch: Batch, symmetries: Symmetries, version: int) -> Batch:
    """A rollout [T, N] whose n-th game is seen from side n + version."""
    cells, moves = symmetries
    side = (np.arange(batch["reward"].shape[1]) + version) % len(cells)
    stones = np.concatenate([cells, cells + cells.shape[1]], axis=1)  # the own and the opponent's
    sources = {"obs": stones, "action_mask": moves, "search_policy": moves}
    ended = side[batch["final_index"][:, 1].numpy()]
    changed = {
        prefix + key: _taken(batch[prefix + key], source[of])
        for prefix, of in (("", side), ("final_", ended))
        for key, source in sources.items()
        if prefix + key in batch
    }
    action = torch.from_numpy(np.argsort(moves, axis=1)[side])  # where each move went
    changed["action"] = torch.gather(action.expand(*batch["action"].shape, -1), -1, batch["action"][..., None])[..., 0]
    return batch | changed


def _taken(values: Tensor, places: NDArray[np.int64]) -> Tensor:
    """values [..., N, C] at the places [N, C] of its last dimension."""
    return torch.gather(values, -1, torch.from_numpy(places).expand(values.shape))
