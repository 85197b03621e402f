"""IQL: the expectile, and what the config refuses."""

from __future__ import annotations

import pytest
import torch

from agents.iql import IQL, IQLConfig, expectile_loss
from tests.support.cases import OfflineCase
from tests.support.off_policy import SHORT_REPLAY
from tests.support.offline import ACTOR, SHARED
from training.errors import UserError

CASES = {
    "iql": OfflineCase(algorithm=IQL, config=IQLConfig(expectile=0.9, inverse_temperature=10.0, **SHARED), policy=ACTOR)
}
RESUMED = {
    "iql_pendulum": ["--epochs", "15", "--agent.minibatch-size", "48"],
    # Two stages: a dataset, then acting.
    "iql_then_sac_pendulum": [
        *(*SHORT_REPLAY, "--offline.epochs", "4", "--offline.dataset", "tiny/pendulum-v0", "--offline.threads", "1"),
    ],
}


def test_the_expectile_of_two_values_lies_between_them() -> None:
    error = torch.tensor([-2.0, 3.0])
    assert expectile_loss(error, 0.9).tolist() == pytest.approx([0.1 * 4, 0.9 * 9])
    values = torch.tensor([0.0, 1.0])
    guesses = torch.linspace(0, 1, 1001)
    best = guesses[expectile_loss(values - guesses[:, None], 0.9).sum(1).argmin()]
    assert best == pytest.approx(0.9, abs=1e-3)


def test_an_expectile_out_of_range_is_named() -> None:
    with pytest.raises(UserError, match=r"expectile = 1\.0: it takes a number between 0 and 1"):
        IQLConfig(expectile=1.0)
