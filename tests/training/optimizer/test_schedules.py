from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.core import Budget, Counters
from training.errors import UserError
from training.optimizer import Schedule
from training.options import parse_options

BUDGET = Budget(1000, "env_steps")


def at(schedule: Schedule, env_steps: int) -> float:
    return schedule.multiplier(Counters(env_steps=env_steps), BUDGET)


def test_golden_values() -> None:
    linear = Schedule("linear", final=0.2)
    assert [at(linear, n) for n in (0, 250, 500, 1000, 5000)] == pytest.approx([1.0, 0.8, 0.6, 0.2, 0.2])
    cosine = Schedule("cosine")
    assert [at(cosine, n) for n in (0, 250, 500, 1000)] == pytest.approx([1.0, 0.5 + math.sqrt(0.125), 0.5, 0.0])
    assert [at(Schedule(), n) for n in (0, 999, 2000)] == [1.0, 1.0, 1.0]


def test_steps_hold_their_multiplier_until_the_next() -> None:
    schedule = Schedule("steps", steps=((0.25, 0.5), (0.5, 2.0)))
    assert [at(schedule, n) for n in (0, 249, 250, 499, 500, 1000, 3000)] == [1.0, 1.0, 0.5, 0.5, 2.0, 2.0, 2.0]
    warm = Schedule("steps", warmup=0.5, steps=((0.25, 0.5), (0.75, 0.1)))
    assert [at(warm, n) for n in (250, 500, 750)] == [0.5, 0.5, 0.1]


def test_warm_up_rises_in_its_fraction_of_the_length_and_decay_takes_the_rest() -> None:
    schedule = Schedule("linear", warmup=0.2)
    assert [at(schedule, n) for n in (0, 50, 100, 200, 600, 1000)] == pytest.approx([0.0, 0.25, 0.5, 1.0, 0.5, 0.0])
    assert [at(Schedule(warmup=0.1), n) for n in (0, 50, 100, 700)] == pytest.approx([0.0, 0.5, 1.0, 1.0])


@pytest.mark.parametrize("unit", ["env_steps", "samples", "updates", "epochs"])
def test_every_unit_counts_itself(unit: Literal["env_steps", "samples", "updates", "epochs"]) -> None:
    now = Counters().advance(**{unit: 30})
    assert Schedule("linear", over=40, unit=unit).multiplier(now, BUDGET) == pytest.approx(0.25)
    assert Schedule("linear").multiplier(now, Budget(40, unit)) == pytest.approx(0.25)


def test_a_schedule_in_another_unit_than_the_budget_needs_its_length() -> None:
    with pytest.raises(UserError, match=r"schedule\.over = None: .*env_steps.*updates"):
        Schedule("linear", unit="updates").multiplier(Counters(), BUDGET)


@pytest.mark.parametrize(
    "wrong",
    [
        {"final": -0.1},
        {"final": math.nan},
        {"warmup": 1.0},
        {"warmup": -0.1},
        {"over": 0},
        {"steps": ((0.5, 1.0),)},  # without the kind
        {"steps": ((0.5, 1.0), (0.5, 2.0)), "kind": "steps"},
        {"steps": ((0.5, 1.0), (0.2, 2.0)), "kind": "steps"},
        {"steps": ((0.0, 1.0),), "kind": "steps"},
        {"steps": ((0.5, -1.0),), "kind": "steps"},
        {"steps": ((0.5, math.inf),), "kind": "steps"},
        {"steps": (), "kind": "steps"},
    ],
)
def test_impossible_values_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^{next(iter(wrong))} = "):
        Schedule(**{"kind": "linear", **wrong})


def test_it_is_a_flat_option_group_on_the_command_line() -> None:
    asked = ["--kind", "cosine", "--warmup", "0.1", "--over", "500", "--unit", "updates"]
    (schedule,) = parse_options(asked, Schedule())
    assert schedule == Schedule("cosine", warmup=0.1, over=500, unit="updates")


@given(
    kind=st.sampled_from(["linear", "cosine"]),
    final=st.floats(0.0, 1.0),
    warmup=st.floats(0.0, 0.9),
    steps=st.lists(st.integers(0, 1500), min_size=2, max_size=2),
)
def test_it_stays_between_0_and_1_and_never_rises_after_the_warm_up(
    kind: Literal["linear", "cosine"], final: float, warmup: float, steps: list[int]
) -> None:
    schedule = Schedule(kind, final=final, warmup=warmup)
    early, late = sorted(steps)
    assert -1e-12 <= at(schedule, early) <= 1.0 + 1e-12
    if early >= warmup * BUDGET.count:
        assert at(schedule, late) <= at(schedule, early) + 1e-12
        assert at(schedule, late) >= final - 1e-12


def test_one_cycle_is_torchs() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=1001, pct_start=0.3, cycle_momentum=False
    )
    ours = Schedule("one_cycle", warmup=0.3, final=1 / 25 / 1e4)
    for update in range(1000):
        # Its warm-up ends an update earlier.
        assert at(ours, update) == pytest.approx(theirs.get_last_lr()[0], abs=6e-3)
        optimizer.step()
        theirs.step()
    assert (at(ours, 0), at(ours, 300)) == (pytest.approx(1 / 25), 1.0)
    with pytest.raises(UserError, match=r"warmup = 0.0: it takes a fraction above 0 for one_cycle, such as 0\.3"):
        Schedule("one_cycle")


def test_an_exponential_schedule_changes_by_the_same_factor() -> None:
    rising = Schedule("exponential", final=1e4)
    assert [at(rising, n) for n in (0, 250, 500, 1000, 2000)] == pytest.approx([1.0, 10.0, 100.0, 1e4, 1e4])
    with pytest.raises(UserError, match=r"final = 0.0: it takes a number above 0 for exponential"):
        Schedule("exponential")
