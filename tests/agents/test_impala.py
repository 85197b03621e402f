"""IMPALA: on-policy it is A2C, and off-policy V-trace weighs what an older policy did."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from agents.a2c import A2C, A2CConfig
from agents.impala import IMPALA, PAPER_SAMPLES, IMPALAConfig
from agents.updates.rollout_samples import acted_on, with_vtrace
from experiments.control.impala_cartpole import Config
from tests.support.cases import OnPolicyCase
from tests.support.on_policy import LINEAR
from tests.support.rollouts import learned, make_rollout, random_walk
from training.core import Budget, Counters
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
    got, _ = learned(
        IMPALA, IMPALAConfig(**numbers, value_coefficient=a2c.value_coefficient, optimizer=a2c.optimizer), batch
    )
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_the_papers_constants_are_of_a_summed_loss() -> None:
    """On 32 rollouts of 20 steps one update is RMSProp on the paper's sum, clipped to 40."""
    policy, batch = make_rollout("CartPole-v1", 20, 32)
    assert batch["reward"].numel() == PAPER_SAMPLES
    config = IMPALAConfig()
    expected = copy.deepcopy(policy)
    with torch.no_grad():
        targets = with_vtrace(expected, batch | {"log_prob": expected.log_prob(acted_on(batch))}, config)
    log_prob, entropy, value = expected.evaluate(acted_on(batch))
    error = 0.5 * (value - targets["return"]).square()
    loss = (-log_prob * targets["advantage"] + 0.5 * error - 0.01 * entropy).sum()
    torchs = torch.optim.RMSprop(expected.parameters(), 6e-4, eps=0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.nn.utils.clip_grad_norm_(expected.parameters(), 40.0) > 400, "it is clipped, by far"
    torchs.step()
    agent = IMPALA(policy, config, until=Budget(1_000_000), seed=1)
    agent.update(batch, Counters())
    for key, value in expected.named_parameters():
        torch.testing.assert_close(dict(policy.named_parameters())[key], value, rtol=1e-4, atol=1e-6, msg=key)


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
