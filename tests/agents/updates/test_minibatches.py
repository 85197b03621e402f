"""Minibatches: each sample once in every epoch, in an order that is drawn, or as they come."""

from __future__ import annotations

import torch

from agents.updates.minibatches import minibatches, shuffled_minibatches
from training.seeding import generator


def test_an_epoch_has_each_sample_once_in_an_order_that_is_drawn() -> None:
    rng, again = generator(1), generator(1)
    first, second = (shuffled_minibatches({"obs": torch.zeros(10, 3)}, 4, rng) for _ in range(2))
    assert [len(rows) for rows in first] == [4, 4, 2]
    for epoch in (first, second):
        assert sorted(torch.cat(list(epoch)).tolist()) == list(range(10))
    assert not torch.equal(torch.cat(list(first)), torch.cat(list(second)))
    assert torch.equal(torch.cat(list(first)), torch.randperm(10, generator=again))


def test_a_batch_of_one_minibatch_is_taken_whole_and_of_several_one_after_another() -> None:
    batch = {"reward": torch.zeros(6)}
    assert minibatches(batch, 6) == [None]
    assert [rows.tolist() for rows in minibatches(batch, 2) if rows is not None] == [[0, 1], [2, 3], [4, 5]]
