"""Clients that train as tasks of Ray, on the nodes of a cluster, with the bits of one process.

A client's part of a round depends on its samples, the server's weights, the seed and the round alone, so that it does
not matter where it trains; one whose node is lost trains once more elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
import torch
from ray.exceptions import RayTaskError

from regimes.clients import Answer, Client, LocalTraining, Weights
from training import interruption
from training.cluster.ray_session import connected

RETRIES = 3
"""How often a client's part of a round begins again where its process or its node is lost."""
POLL_S = 0.5


class RayClients:
    """Clients whose samples lie in Ray's object store, from where a task that trains one takes them."""

    def __init__(self, training: LocalTraining, clients: Sequence[Client]) -> None:
        self.count = len(clients)
        self._training = ray.put(training)
        self._clients = [ray.put(client) for client in clients]
        self._train = ray.remote(num_cpus=1, max_retries=RETRIES)(_train)

    @staticmethod
    @contextmanager
    def on(
        address: str | None, training: LocalTraining, clients: Sequence[Client], *, workers: int
    ) -> Iterator[RayClients]:
        """On the cluster at the address, or on a local one with so many CPUs, which ends with the block."""
        with connected(address, cpus=workers):
            yield RayClients(training, clients)

    def train(self, chosen: Sequence[int], weights: Weights, round_: int) -> list[Answer]:
        sent, threads = ray.put(weights), torch.get_num_threads()
        asked = [self._train.remote(self._training, self._clients[one], sent, round_, threads) for one in chosen]
        waiting: list[Any] = asked
        while waiting:
            interruption.check()
            _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=POLL_S)
        try:
            return [ray.get(answer) for answer in asked]
        except RayTaskError as error:
            raise error.cause from None


def _train(training: LocalTraining, client: Client, weights: Weights, round_: int, threads: int) -> Answer:
    torch.set_num_threads(threads)  # another number may give other last bits
    return training.train(client, weights, round_)
