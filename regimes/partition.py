"""Divides the samples of a dataset among clients: by class as unevenly as is asked for, or by who they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from regimes.clients import Client
from training.data.dataset import Dataset
from training.errors import UserError, require
from training.seeding import derived_seed

TRIES = 1_000


@dataclass(frozen=True)
class PartitionConfig:
    """How the samples of one dataset are dealt out to clients."""

    clients: int = 20
    concentration: float = 0.1
    """Of the Dirichlet distribution: near 0 a client has few classes; where it is large, all as the data have them."""
    fewest_samples: int = 10
    """Of a client; shares that give one fewer are drawn anew."""

    def __post_init__(self) -> None:
        require(self.clients >= 1, "clients", self.clients, "at least 1")
        require(self.concentration > 0, "concentration", self.concentration, "a number above 0")
        require(self.fewest_samples >= 1, "fewest_samples", self.fewest_samples, "at least 1")


def by_dirichlet(data: Dataset, config: PartitionConfig, *, seed: int) -> list[Client]:
    """Of each class every client gets a share, all of them drawn from one Dirichlet distribution (Yurochkin et al.
    2019, https://arxiv.org/abs/1905.12022, section 4).

    Raises UserError: there are no classes or too few samples, or no draw gives every client enough.
    """
    clients, concentration, fewest_samples = config.clients, config.concentration, config.fewest_samples
    most = len(data) // fewest_samples
    require(clients <= most, "clients", clients, f"at most {most}: {len(data)} samples, {fewest_samples} for each")
    if not isinstance(data.target, spaces.Discrete):
        raise UserError(f"{data.source} has no classes to divide by: its target is {data.target}")
    target = data.array("target")
    for attempt in range(TRIES):
        rng = np.random.default_rng(derived_seed(seed, "clients", attempt))
        rows: list[list[np.ndarray[tuple[int], np.dtype[np.int64]]]] = [[] for _ in range(clients)]
        for label in np.unique(target):
            own = rng.permutation(np.flatnonzero(target == label))
            shares = rng.dirichlet(np.full(clients, concentration))
            cuts = np.round(np.cumsum(shares)[:-1] * len(own)).astype(np.int64)
            for client, part in enumerate(np.split(own, cuts)):
                rows[client].append(part)
        found = [np.sort(np.concatenate(parts)) for parts in rows]
        if min(map(len, found)) >= fewest_samples:
            return [Client(f"client {number:02d}", data.select(own)) for number, own in enumerate(found, 1)]
    raise UserError(
        f"concentration = {concentration}: none of {TRIES} draws gives each of {clients} clients {fewest_samples} "
        "samples; a larger one, or fewer clients, do"
    )


def by_group(data: Dataset, names: Sequence[str]) -> list[Client]:
    """One client for each `group` of the samples, which is the position of its name. Raises UserError without one."""
    if "group" not in data.arrays:
        raise UserError(f"{data.source} has no 'group' to divide by: its arrays are {', '.join(data.arrays)}")
    group = data.array("group")
    return [Client(name, data.select(np.flatnonzero(group == number))) for number, name in enumerate(names)]
