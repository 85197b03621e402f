"""The moments of optimizers: what does not fit is named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.support.optimizers import (
    network,
    optimizer_for,
    train,
)
from training.errors import UserError


@pytest.mark.parametrize(
    ("options", "spoil", "message"),
    [
        ({}, lambda s: s["moments"].pop("2.weight"), r"optimizer\.moments: '2\.weight' is not in the saved state"),
        ({}, lambda s: s["moments"].update(extra={}), r"optimizer\.moments: 'extra' is only in the saved state"),
        ({"kind": "sgd"}, lambda s: None, r"moments of '0\.weight': they were saved by 'adam', here .* 'sgd'"),
        (
            {},
            lambda s: s["moments"]["2.bias"].update(exp_avg=torch.zeros(3)),
            r"moments of '2\.bias', exp_avg: the saved shape is \[3\], the parameter's is \[2\]",
        ),
        ({"ema_decay": 0.9}, lambda s: None, r"optimizer\.averages: '0\.weight' is not in the saved state"),
        ({"precision": "fp16"}, lambda s: None, r"optimizer\.precision = 'fp16'"),
    ],
)
def test_loading_names_the_first_mismatch(
    options: dict[str, Any], spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    model = network()
    optimizer = optimizer_for(model)
    train(model, optimizer, 0, 1)
    state = copy.deepcopy(optimizer.state_dict())
    spoil(state)
    with pytest.raises(UserError, match=message):
        optimizer_for(model, **options).load_state_dict(state)
