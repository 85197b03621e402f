"""The learning-rate range test: what it changes of a config, and its curve."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from experiments.control import ppo_cartpole
from experiments.data import breast_cancer_mlp
from reports.rate_curve import RateRangeOptions, smoothed, with_rate_range
from training.errors import UserError
from training.optimizer import Schedule


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
