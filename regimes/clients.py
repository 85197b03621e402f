"""Clients of federated learning: samples that stay where they are, and a model that learns from them by `fit`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from pretraining.predictor import Predictor
from pretraining.supervised import Supervised, SupervisedConfig
from regimes.silence import Silence
from training.core import Budget
from training.data.dataset import Dataset
from training.data.preprocessing import PreprocessingConfig, check_numbers
from training.data.splits import Splits
from training.data.streams import Shuffled
from training.errors import UserError
from training.fit import fit
from training.metrics import Mean, Metrics
from training.optimizer.anchor import Anchor
from training.optimizer.non_finite import NonFinite
from training.seeding import derived_seed

Weights: TypeAlias = dict[str, Tensor]
"""The parameters of a model, or how much each has changed, by name."""


@dataclass(frozen=True, eq=False)
class Client:
    """A party with samples of its own."""

    name: str
    data: Dataset


class Answer(NamedTuple):
    """What a client sends back: never a sample."""

    change: Weights
    """Its weights minus the server's."""
    samples: int
    """How many it has learned from."""
    measured: Metrics
    """Means over its training."""


class Clients(Protocol):
    """Those that may be asked, wherever they train."""

    count: int

    def train(self, chosen: Sequence[int], weights: Weights, round_: int) -> list[Answer]:
        """Lets some of them train from these weights; their answers in the order of `chosen`."""
        ...


class LocalTraining:
    """What every client does in a round: some epochs on its own samples, from the server's weights, on the CPU.

    Its random numbers follow from the run's seed, the client's name and the round alone, so that it gives the same bits
    wherever and whenever it trains.

    Args:
        model: of the server, with its preprocessing fitted; the client's is a copy.
        config: how the clients learn.
        epochs: over its samples in each round.
        minibatch_size: at most; a client with fewer samples takes all of them.
        anchor: the weight of the penalty on the distance to the server's weights: FedProx's mu; 0: none.
        seed: of the run.
    """

    def __init__(
        self,
        model: Predictor,
        config: SupervisedConfig,
        *,
        epochs: int,
        minibatch_size: int,
        anchor: float = 0.0,
        seed: int,
    ) -> None:
        self.model = copy.deepcopy(model)
        self._config, self._epochs, self._minibatch_size = config, epochs, minibatch_size
        self._anchor, self._seed = anchor, seed

    def train(self, client: Client, weights: Weights, round_: int) -> Answer:
        """One client's part of a round. Raises UserError, with the client's name, where it diverges."""
        own = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, value in weights.items():
                own[name].copy_(value)
        seed = derived_seed(self._seed, "client", client.name, round_)
        anchor = Anchor(own, self._anchor) if self._anchor else None
        until = Budget(self._epochs, "epochs")
        algorithm = Supervised(self.model, self._config, until=until, seed=seed, anchor=anchor)
        stream = Shuffled(client.data, min(self._minibatch_size, len(client.data)), seed=seed)
        log = Silence()
        try:
            now = fit(algorithm, stream, until=until, log=log)
        except NonFinite as error:
            raise UserError(f"client {client.name!r} diverges in round {round_ + 1}: {error}") from error
        change = {name: own[name].detach() - value for name, value in weights.items()}
        means: Metrics = {name: metric for name, metric in log.measured().items() if isinstance(metric, Mean)}
        return Answer(change, now.samples // self._epochs, means)


class LocalClients:
    """Clients that train one after the other in this process."""

    def __init__(self, training: LocalTraining, clients: Sequence[Client]) -> None:
        self.count = len(clients)
        self._training, self._clients = training, clients

    def train(self, chosen: Sequence[int], weights: Weights, round_: int) -> list[Answer]:
        return [self._training.train(self._clients[index], weights, round_) for index in chosen]


def check_clients(clients: Sequence[Client], preprocessing: PreprocessingConfig) -> None:
    """Raises UserError, naming the client: one without samples, with a value that is no number, or with other columns
    than the first one's."""
    if not clients:
        raise UserError("clients: there are none, and federated learning takes at least one")
    names = [client.name for client in clients]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"client {twice!r} is there {names.count(twice)} times: each takes a name of its own")
    first = clients[0]
    for client in clients:
        if not len(client.data):
            raise UserError(f"client {client.name!r} has no samples: it takes at least one, or is left out")
        said = _differs(client.data, first.data)
        if said:
            raise UserError(f"client {client.name!r} has other data than client {first.name!r}: {said}")
        try:
            check_numbers(Splits(client.data, client.data, client.data), preprocessing)
        except UserError as error:
            raise UserError(f"client {client.name!r}: {error}") from None


def check_model(model: nn.Module) -> None:
    """Raises UserError for batch norm: its running statistics are no parameters, and those of clients differ."""
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise UserError(f"model: {name!r} is batch norm, whose statistics clients cannot share: take group norm")


def _differs(data: Dataset, wanted: Dataset) -> str | None:
    """What is other than it should be, in words; None: nothing."""
    for column in wanted.columns:
        if column not in data.columns:
            return f"it lacks the column {column!r}"
    for column in data.columns:
        if column not in wanted.columns:
            return f"it has a column {column!r} more"
    if data.columns != wanted.columns:
        return f"its columns are in another order, {', '.join(data.columns)}"
    for key in (*wanted.spaces, *data.spaces):
        own, other = data.spaces.get(key), wanted.spaces.get(key)
        if own is None or other is None:
            return f"it {'lacks' if own is None else 'alone has'} {key!r}"
        if not _same(own, other):
            return f"{key} is {own} and not {other}"
    if data.labels != wanted.labels:
        return f"its classes are {', '.join(data.labels)} and not {', '.join(wanted.labels)}"
    return None


def _same(own: Space[object], other: Space[object]) -> bool:
    """Of classes only how many there are matters, of numbers the shape and the kind."""
    if isinstance(own, spaces.Discrete) and isinstance(other, spaces.Discrete):
        return int(own.n) == int(other.n)
    return type(own) is type(other) and own.shape == other.shape and own.dtype == other.dtype
