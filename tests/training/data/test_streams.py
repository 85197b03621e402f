"""Minibatches of a dataset: every sample once an epoch, in an order that only the seed and the epoch decide."""

from __future__ import annotations

import pytest
import torch

from training.core import Counters
from training.data.streams import Shuffled
from training.errors import UserError

DATA = {"number": torch.arange(10), "pair": torch.arange(20.0).reshape(10, 2)}


def epoch(stream: Shuffled, now: Counters) -> tuple[list[list[int]], Counters]:
    minibatches, begun = [], now.epochs
    while now.epochs == begun:
        batch, now, metrics = stream.next(now)
        assert not metrics
        assert torch.equal(batch["pair"][:, 0], 2.0 * batch["number"])
        minibatches.append(batch["number"].tolist())
    return minibatches, now


def test_every_sample_comes_once_an_epoch_in_a_new_order() -> None:
    stream, now = Shuffled(DATA, 4, seed=1), Counters()
    orders = []
    for number in range(1, 4):
        minibatches, now = epoch(stream, now)
        assert [len(minibatch) for minibatch in minibatches] == [4, 4, 2]
        orders.append([sample for minibatch in minibatches for sample in minibatch])
        assert sorted(orders[-1]) == list(range(10))
        assert (now.epochs, now.samples) == (number, 10 * number)
    assert len(set(map(tuple, orders))) == 3
    other, _ = epoch(Shuffled(DATA, 4, seed=2), Counters())
    assert [sample for minibatch in other for sample in minibatch] != orders[0]


def test_a_minibatch_may_be_everything() -> None:
    minibatches, now = epoch(Shuffled(DATA, 10, seed=1), Counters())
    assert (len(minibatches), now) == (1, Counters(samples=10, epochs=1))


@pytest.mark.parametrize("taken", range(8))
def test_it_continues_where_it_was(taken: int) -> None:
    stream, now = Shuffled(DATA, 4, seed=1), Counters()
    for _ in range(taken):
        _, now, _ = stream.next(now)
    again = Shuffled(DATA, 4, seed=1)
    again.load_state_dict(stream.state_dict())
    torch.rand(3)  # the global generator has no part in it
    for _ in range(5):
        (batch, after, _), (same, same_after, _) = stream.next(now), again.next(now)
        assert torch.equal(batch["number"], same["number"])
        assert after == same_after
        now = after


@pytest.mark.parametrize("size", [0, 11])
def test_a_minibatch_that_cannot_be_filled_is_told(size: int) -> None:
    with pytest.raises(UserError, match=f"minibatch_size = {size}: it takes 1 to 10, the samples that there are"):
        Shuffled(DATA, size, seed=1)
