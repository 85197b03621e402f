"""Counters, cadences, budgets and batches on a device."""

from __future__ import annotations

import pytest
import torch

from training.core import Budget, Counters, Every, to_device
from training.errors import UserError


def test_counters_advance_one_by_one_and_are_read_by_their_unit() -> None:
    before = Counters(env_steps=5, updates=1)
    now = before.advance(env_steps=3, samples=7)
    assert now == Counters(env_steps=8, updates=1, samples=7)
    assert before == Counters(env_steps=5, updates=1)
    assert [now.count(unit) for unit in ("env_steps", "updates", "samples", "epochs")] == [8, 1, 7, 0]


@pytest.mark.parametrize(
    ("before", "after", "due"), [(0, 9, False), (9, 10, True), (10, 19, False), (8, 31, True), (10, 10, False)]
)
def test_a_cadence_is_due_where_a_multiple_is_passed(before: int, after: int, due: bool) -> None:
    assert Every(10).due(Counters(env_steps=before), Counters(env_steps=after)) == due
    assert not Every(10, "updates").due(Counters(env_steps=before), Counters(env_steps=after))


def test_a_budget_is_spent_up_to_all_of_it() -> None:
    until = Budget(200, "samples")
    assert [until.fraction(Counters(samples=count)) for count in (0, 50, 200, 300)] == [0.0, 0.25, 1.0, 1.0]
    assert [until.reached(Counters(samples=count)) for count in (199, 200, 300)] == [False, True, True]


def test_what_counts_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"^count = 0: it takes at least 1$"):
        Every(0)
    with pytest.raises(UserError, match=r"^epochs = 0: it takes at least 1$"):
        Budget(0, "epochs")


def test_a_batch_that_is_on_the_device_is_not_copied() -> None:
    batch = {"obs": torch.arange(3)}
    assert to_device(batch, torch.device("cpu"))["obs"] is batch["obs"]
