"""The stream of two domains: what a batch holds, that it goes on, and what each domain counts."""

from __future__ import annotations

import pytest
import torch

from finetuning.domains import Domains, shares
from tests.support.domains import blobs
from training.core import Counters

RESUMED = {  # three stages; two domains in a batch, whose epochs end apart
    "digits_domain_adaptation": [
        *("--epochs", "4", "--minibatch-size", "90", "--split.validation", "0.13"),
        *("--model.network.channels", "2", "2"),
    ],
}


def test_a_batch_holds_both_domains_and_no_class_of_the_target() -> None:
    source, target = blobs(10, 0.0, 1), blobs(14, 5.0, 2)
    stream = Domains(source, target, 4, seed=1)
    now, seen = Counters(), []
    for _ in range(7):
        batch, now, _ = stream.next(now)
        from_source = batch["is_source"]
        assert batch["input"][from_source][:, 1].abs().max() < 3
        assert batch["input"][~from_source][:, 1].min() > 3
        assert (batch["target"][~from_source] == 0).all()
        seen.append(batch["input"][~from_source])
    assert now == Counters(epochs=2, samples=4 * 4 + 2 * 2 + 4)
    assert len(torch.cat(seen[:4]).unique(dim=0)) == 14  # an epoch of the target has its own length


def test_the_stream_goes_on_where_it_was() -> None:
    source, target = blobs(10, 0.0, 1), blobs(14, 5.0, 2)
    stream = Domains(source, target, 4, seed=1)
    for _ in range(5):
        stream.next(Counters())
    other = Domains(source, target, 4, seed=1)
    other.load_state_dict(stream.state_dict())
    for _ in range(5):
        one, two = stream.next(Counters())[0], other.next(Counters())[0]
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_shares_make_a_sum_the_means_of_the_two_domains() -> None:
    is_source = torch.tensor([True, True, True, False])
    losses = torch.tensor([1.0, 2.0, 6.0, 5.0])
    assert float((losses * shares(is_source)).sum() / 4) == pytest.approx(3 + 5)
