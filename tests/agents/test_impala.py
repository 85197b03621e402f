"""IMPALA: on-policy it is A2C, and off-policy V-trace weighs what an older policy did."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agents.a2c import A2C, A2CConfig
from agents.impala import IMPALA, IMPALAConfig
from agents.updates.rollout_samples import acted_on
from experiments.control.impala_cartpole import Config
from tests.support.cases import OnPolicyCase
from tests.support.on_policy import LINEAR
from tests.support.rollouts import learned, random_walk
from training.errors import UserError
from training.optimizer import OptimizerConfig

CASES = {
    "impala": OnPolicyCase(
        algorithm=IMPALA,
        config=IMPALAConfig(
            horizon=5,
            gamma=0.5,
            entropy_coefficient=0.0,
            optimizer=OptimizerConfig(kind="rmsprop", learning_rate=1e-2, schedule=LINEAR, eps=1e-5, max_grad_norm=0.5),
        ),
        env_steps=16_000,
        waits="an update by RMSProp that is not finite is found at once, since the device cannot leave it out",
    )
}
RESUMED = {"impala_cartpole": ["--workers", "0"]}  # in this process, where there is no lag


def test_on_policy_it_is_a2c() -> None:
    _, batch = random_walk()
    numbers: dict[str, Any] = {"horizon": 8, "gamma": 0.9, "entropy_coefficient": 0.01}
    a2c = A2CConfig(**numbers)
    expected, _ = learned(A2C, a2c, batch)
    got, _ = learned(IMPALA, IMPALAConfig(**numbers, optimizer=a2c.optimizer), batch)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_it_does_not_follow_what_the_policy_would_never_do() -> None:
    policy, batch = random_walk()
    now = policy.log_prob(acted_on(batch)).detach()
    config = IMPALAConfig(horizon=8, entropy_coefficient=0.0)
    before = {key: value.clone() for key, value in policy.state_dict().items() if key.startswith("actor")}
    after, metrics = learned(IMPALA, config, batch | {"log_prob": now + 50})
    for key, value in before.items():
        torch.testing.assert_close(after[key], value, rtol=0, atol=1e-6)
    assert float(metrics["policy/loss"].value) == pytest.approx(0.0, abs=1e-6)


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
        IMPALAConfig(**change)


def test_rewards_are_not_scaled_where_rollouts_are_of_any_environments() -> None:
    with pytest.raises(UserError, match=r"scale_reward = True: it takes False where workers act behind learning"):
        Config(scale_reward=True)
    assert Config(scale_reward=True, workers=0).scale_reward
