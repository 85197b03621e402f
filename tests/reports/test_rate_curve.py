"""The learning-rate range test: what it changes of a config, its curve, and one cycle."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from experiments.control import ppo_cartpole
from experiments.data import breast_cancer_mlp
from reports.rate_curve import RateRangeOptions, smoothed, with_rate_range
from training.core import Budget, Counters
from training.errors import UserError
from training.optimizer import Schedule

STEPS = Budget(1000, "updates")


def at(schedule: Schedule, updates: int) -> float:
    return schedule.multiplier(Counters(updates=updates), STEPS)


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


def test_the_curve_is_smoothed_and_ends_where_it_diverges() -> None:
    rates = [10.0 ** (-5 + n / 20) for n in range(100)]
    losses = [2.0 if rate < 1e-3 else 1.0 if rate < 0.1 else 100.0 for rate in rates]
    curve = smoothed(rates, [*losses[:90], math.nan, *losses[91:]])
    assert curve.losses[:5] == pytest.approx([2.0] * 5)
    weights = [0.9 ** (45 - n) for n in range(46)]
    by_hand = sum(w * loss for w, loss in zip(weights, losses[:46], strict=True)) / sum(weights)
    assert curve.losses[45] == pytest.approx(by_hand)
    assert curve.rates[-1] < 0.2
    assert curve.suggested == pytest.approx(0.1 / 3, rel=0.2)


def test_a_range_test_is_the_experiment_with_other_rates() -> None:
    config = with_rate_range(breast_cancer_mlp.Config(), RateRangeOptions(1e-4, 1.0, 50))
    own = config.algorithm.optimizer
    assert (config.steps, config.epochs, own.learning_rate, own.schedule.final) == (50, None, 1e-4, pytest.approx(1e4))
    assert replace(own, learning_rate=1e-3, schedule=Schedule("cosine"), on_non_finite="stop") == (
        breast_cancer_mlp.Config().algorithm.optimizer
    )
    with pytest.raises(UserError, match="a range test takes an experiment that learns from data"):
        with_rate_range(ppo_cartpole.Config(), RateRangeOptions())
    with pytest.raises(UserError, match=r"highest = 1e-07: it takes above lowest = 1e-06"):
        RateRangeOptions(highest=1e-7)
