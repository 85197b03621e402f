"""The hyperparameters that algorithms share: impossible numbers are named."""

from __future__ import annotations

import math
from typing import Any

import pytest

from agents.updates.configs import (
    ActorCriticLossConfig,
    ClippedConfig,
    DiscountedConfig,
    GAEConfig,
    PolicyGradientConfig,
    VTraceConfig,
)
from training.errors import UserError

GRADIENT: dict[str, Any] = {"horizon": 5, "entropy_coefficient": 0.01}


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (DiscountedConfig, {"gamma": 1.5}, r"gamma = 1\.5: it takes a number from 0 to 1"),
        (PolicyGradientConfig, {**GRADIENT, "horizon": 0}, "horizon = 0: it takes at least 1 step"),
        (
            PolicyGradientConfig,
            {**GRADIENT, "entropy_coefficient": math.nan},
            "entropy_coefficient = nan: it takes a finite number",
        ),
        (
            ActorCriticLossConfig,
            {**GRADIENT, "value_coefficient": -1.0},
            r"value_coefficient = -1\.0: it takes a number of at least 0",
        ),
        (GAEConfig, {**GRADIENT, "gae_lambda": 2.0}, r"gae_lambda = 2\.0: it takes a number from 0 to 1"),
        (VTraceConfig, {**GRADIENT, "clip_c": 0.0}, r"clip_c = 0\.0: it takes a number above 0"),
        (ClippedConfig, {**GRADIENT, "clip_range": 0.0}, r"clip_range = 0\.0: it takes a positive number"),
        (
            ClippedConfig,
            {**GRADIENT, "clip_range": 0.2, "clip_range_above": 0.0},
            r"clip_range_above = 0\.0: it takes a positive number or None",
        ),
        (
            ClippedConfig,
            {**GRADIENT, "clip_range": 0.2, "clip_range_above": 0.3, "objective": "spo"},
            r"clip_range_above = 0\.3: it takes None: objective = 'spo' has one range",
        ),
        (ClippedConfig, {**GRADIENT, "clip_range": 0.2, "epochs": 0}, "epochs = 0: it takes at least 1 pass"),
        (
            ClippedConfig,
            {**GRADIENT, "clip_range": 0.2, "minibatch_size": 1},
            "minibatch_size = 1: it takes at least 2 samples",
        ),
    ],
)
def test_impossible_numbers_are_named(config: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config(**changes)


def test_one_that_inherits_refuses_what_its_parents_refuse() -> None:
    with pytest.raises(UserError, match=r"gamma = -1\.0"):
        ClippedConfig(**GRADIENT, clip_range=0.2, gamma=-1.0)
