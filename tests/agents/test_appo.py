"""APPO: on-policy it is PPO, and off-policy V-trace weighs what an older policy did."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agents.appo import APPO, APPOConfig
from agents.ppo import PPO, PPOConfig
from tests.support.cases import OnPolicyCase
from tests.support.on_policy import FAST
from tests.support.rollouts import learned, random_walk
from training.errors import UserError

CASES = {
    "appo": OnPolicyCase(
        algorithm=APPO,
        config=APPOConfig(horizon=32, minibatch_size=64, epochs=6, gamma=0.5, clip_range=0.2, optimizer=FAST),
        env_steps=8_192,
    )
}
RESUMED = {"appo_cartpole": ["--workers", "0", "--agent.epochs", "2", "--groups", "2"]}  # in this process: no lag


def test_on_policy_it_is_ppo() -> None:
    _, batch = random_walk()
    numbers: dict[str, Any] = {"horizon": 8, "gamma": 0.9, "entropy_coefficient": 0.01}
    ppo = PPOConfig(**numbers, gae_lambda=1.0, minibatch_size=12, clip_range=0.01)
    appo = APPOConfig(**numbers, minibatch_size=12, epochs=4, clip_range=0.01, optimizer=ppo.optimizer)
    expected, _ = learned(PPO, ppo, batch)
    got, _ = learned(APPO, appo, batch)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_policy_lag": -1}, r"max_policy_lag = -1: it takes at least 0 updates"),
        ({"clip_c": 2.0}, r"clip_rho = 1.0: it takes a number of at least clip_c = 2.0"),
        ({"trace_lambda": 1.5}, r"trace_lambda = 1.5: it takes a number from 0 to 1"),
    ],
)
def test_impossible_numbers_are_errors(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        APPOConfig(**change)
