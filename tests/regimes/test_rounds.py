"""Rounds: who is asked, what one mean is made of, and that the number of the round is all there is to keep."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from regimes.clients import Answer, Weights
from regimes.rounds import Rounds, WeightedMean
from training.core import Counters
from training.errors import UserError
from training.metrics import Mean, Sum


def answer(value: float, samples: int) -> Answer:
    return Answer({"w": torch.tensor([value])}, samples, {"optimizer/loss": Mean(value)})


class Known:
    """Clients each of which answers its number, and that keep what they were asked."""

    def __init__(self, count: int) -> None:
        self.count, self.asked = count, list[tuple[list[int], float, int]]()

    def train(self, chosen: Sequence[int], weights: Weights, round_: int) -> list[Answer]:
        self.asked.append((list(chosen), float(weights["w"]), round_))
        return [answer(float(one), one + 1) for one in chosen]


def rounds(clients: Known, **changes: float) -> tuple[Rounds, nn.Parameter]:
    parameter = nn.Parameter(torch.zeros(1))
    return Rounds(clients, {"w": parameter}, WeightedMean(), seed=3, **changes), parameter


def test_a_client_counts_as_its_samples_or_all_alike() -> None:
    answers = {7: answer(1.0, 30), 2: answer(4.0, 10)}
    assert WeightedMean()(answers, [2, 7])[0]["w"].tolist() == [(30 * 1.0 + 10 * 4.0) / 40]
    assert WeightedMean("equal")(answers, [2, 7])[0]["w"].tolist() == [2.5]


def test_each_round_asks_others_with_the_newest_weights() -> None:
    clients = Known(10)
    stream, parameter = rounds(clients, fraction=0.3)
    now = Counters()
    for number in range(40):
        batch, now, measured = stream.next(now)
        chosen, seen, round_ = clients.asked[-1]
        assert (len(set(chosen)), sorted(chosen), seen, round_) == (3, chosen, float(number), number)
        assert float(batch["change/w"]) == pytest.approx(
            sum(one * (one + 1) for one in chosen) / sum(one + 1 for one in chosen)
        )
        assert float(batch["loss"]) == pytest.approx(sum(chosen) / 3)
        assert measured["round/clients"] == Mean(3)
        with torch.no_grad():
            parameter += 1
    assert {one for chosen, _, _ in clients.asked for one in chosen} == set(range(10))
    assert len({tuple(chosen) for chosen, _, _ in clients.asked}) > 20


def test_some_never_answer_and_a_round_without_any_is_empty() -> None:
    clients = Known(4)
    stream, _ = rounds(clients, dropout=0.6)
    dropped, empty = 0.0, 0
    for _ in range(200):
        batch, _, measured = stream.next(Counters())
        lost = measured["round/dropped_clients"]
        assert isinstance(lost, Sum)
        dropped += float(lost.value)
        assert (not batch) == (lost.value == 4)
        empty += not batch
    assert 0.5 < dropped / 800 < 0.7
    assert 0.05 < empty / 200 < 0.25  # 0.6 ** 4 = 0.13


def test_it_goes_on_where_it_was() -> None:
    clients, others = Known(10), Known(10)
    stream, _ = rounds(clients, fraction=0.3, dropout=0.2)
    for _ in range(3):
        stream.next(Counters())
    again, _ = rounds(others, fraction=0.3, dropout=0.2)
    again.load_state_dict(stream.state_dict())
    for _ in range(3):
        stream.next(Counters())
        again.next(Counters())
    assert others.asked == clients.asked[3:]


@pytest.mark.parametrize(("changes", "told"), [({"fraction": 0.0}, "fraction = 0.0"), ({"dropout": 1.0}, "dropout")])
def test_impossible_parts_are_told(changes: dict[str, float], told: str) -> None:
    with pytest.raises(UserError, match=told):
        rounds(Known(3), **changes)
