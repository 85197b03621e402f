"""The stream of federated learning: a batch is what the clients of one round have learned, as one mean.

A round is the unit of resume: between two of them the server's weights and the number of the round are all there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import torch
from torch import nn

from regimes.clients import Answer, Clients, Weights
from training.core import Batch, Counters
from training.errors import require
from training.metrics import Last, Mean, Metrics, Sum, merge_metrics
from training.seeding import generator
from training.state import State, Stateful

Weighting: TypeAlias = Literal["samples", "equal"]
CHANGE = "change/"
"""Before the name of a parameter, in a batch."""


def weight_of(answer: Answer, weighting: Weighting) -> float:
    """What a client counts."""
    return float(answer.samples) if weighting == "samples" else 1.0


class Aggregate(Stateful, Protocol):
    """Makes one change of those of a round's clients."""

    def fewest(self, asked: int) -> int:
        """How many of those that were asked must answer."""
        ...

    def __call__(self, answers: Mapping[int, Answer], asked: Sequence[int]) -> tuple[Weights, Metrics]:
        """Of the answers by client, and all that were asked: the mean change, and what its making measured."""
        ...


class WeightedMean:
    """The mean of the changes; a client counts as its samples (McMahan et al. 2017), or all count the same.

    The sum is taken in double precision in the order of the clients, so that it never depends on who answers first.
    """

    def __init__(self, weighting: Weighting = "samples") -> None:
        self._weighting = weighting

    def fewest(self, asked: int) -> int:
        return 1

    def __call__(self, answers: Mapping[int, Answer], asked: Sequence[int]) -> tuple[Weights, Metrics]:
        parts = [(weight_of(answer, self._weighting), answer.change) for _, answer in sorted(answers.items())]
        total = sum(weight for weight, _ in parts)
        mean = {}
        for name, first in parts[0][1].items():
            summed = torch.zeros_like(first, dtype=torch.float64)
            for weight, change in parts:
                summed += weight * change[name].double()
            mean[name] = (summed / total).to(first.dtype)
        return mean, {}

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """It remembers nothing."""


class Rounds:
    """Rounds of clients, each with the weights after the last update.

    The batch has `change/<parameter>` [*shape], the mean of the clients' changes, and `loss` [], their mean loss; in a
    round that too few answer it is empty.

    Args:
        clients: those that may be asked.
        parameters: the server's, by name.
        aggregate: makes one change of several.
        fraction: of the clients that are asked in a round, at least one; drawn anew in each, without replacement.
        dropout: the part of those that never answer, on average.
        seed: of the run.
    """

    def __init__(
        self,
        clients: Clients,
        parameters: Mapping[str, nn.Parameter],
        aggregate: Aggregate,
        *,
        fraction: float = 1.0,
        dropout: float = 0.0,
        seed: int,
    ) -> None:
        require(0 < fraction <= 1, "fraction", fraction, "a fraction above 0")
        require(0 <= dropout < 1, "dropout", dropout, "a fraction below 1")
        self._clients, self._parameters, self._aggregate = clients, dict(parameters), aggregate
        self._asked = max(1, round(fraction * clients.count))
        self._dropout, self._seed = dropout, seed
        self._round = 0

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        chosen, answering = self._draw()
        weights = {name: value.detach().to("cpu", copy=True) for name, value in self._parameters.items()}
        answers = self._clients.train(answering, weights, self._round)
        measured: Metrics = {
            "round/clients": Mean(len(answers)),
            "round/dropped_clients": Sum(len(chosen) - len(answers)),
        }
        batch: Batch = {}
        if len(answers) >= self._aggregate.fewest(len(chosen)):
            change, more = self._aggregate(dict(zip(answering, answers, strict=True)), chosen)
            of_clients = merge_metrics([answer.measured for answer in answers])
            measured |= {f"client/{name.rpartition('/')[2]}": metric for name, metric in of_clients.items()} | more
            batch = {CHANGE + name: value for name, value in change.items()}
            batch["loss"] = torch.tensor(float(of_clients["optimizer/loss"].value))
        self._round += 1
        measured["round/number"] = Last(self._round)
        return batch, now.advance(samples=sum(answer.samples for answer in answers)), measured

    def _draw(self) -> tuple[list[int], list[int]]:
        """Whom this round asks, and who of them answers, in the order of the clients."""
        rng = generator(self._seed, "round", self._round)
        chosen = sorted(torch.randperm(self._clients.count, generator=rng)[: self._asked].tolist())
        answers = (torch.rand(len(chosen), generator=rng) >= self._dropout).tolist()
        return chosen, [index for index, does in zip(chosen, answers, strict=True) if does]

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: the next round begins with the new weights."""

    def state_dict(self) -> State:
        return {"round": self._round, "aggregate": self._aggregate.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._round = state["round"]
        self._aggregate.load_state_dict(state["aggregate"])
