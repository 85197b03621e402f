"""A2C: one plain gradient step, and Stable-Baselines3's."""

from __future__ import annotations

import pytest

from agents.a2c import A2C, A2CConfig
from tests.support.cases import OnPolicyCase
from tests.support.on_policy import LINEAR
from tests.support.rollouts import (
    ADAM,
    PLAIN_STEP,
    UNTIL,
    after_step,
    assert_agrees_with_stable_baselines3,
    assert_moved_to,
    distribution,
    make_opinionated,
    monte_carlo,
)
from training.core import Counters
from training.optimizer import OptimizerConfig

CASES = {
    "a2c": OnPolicyCase(
        algorithm=A2C,
        config=A2CConfig(
            horizon=5,
            gamma=0.5,
            entropy_coefficient=0.0,
            optimizer=OptimizerConfig(kind="rmsprop", learning_rate=1e-2, schedule=LINEAR, eps=1e-5, max_grad_norm=0.5),
        ),
        env_steps=16_000,
        waits="an update by RMSProp that is not finite is found at once, since the device cannot leave it out",
    )
}
RESUMED: dict[str, list[str]] = {"a2c_cartpole": []}


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_a2cs_update_is_a_plain_gradient_step(env_id: str) -> None:
    policy, batch = make_opinionated(env_id)
    config = A2CConfig(gamma=0.9, value_coefficient=0.7, entropy_coefficient=0.3, optimizer=PLAIN_STEP)
    obs, action, value, target = monte_carlo(policy, batch, config.gamma)
    now = distribution(policy, obs)
    loss = -(now.log_prob(action) * (target - value)).mean() - 0.3 * now.entropy().mean()
    loss = loss + 0.7 * (policy.critic(obs)[:, 0] - target).pow(2).mean()
    expected = after_step(policy, loss, "")
    A2C(policy, config, until=UNTIL, seed=1).update(batch, Counters())
    assert_moved_to(policy, expected)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_an_update_agrees_with_stable_baselines3(env_id: str) -> None:
    config = A2CConfig(horizon=16, gamma=0.9, gae_lambda=0.8, optimizer=ADAM)
    agent = lambda policy: A2C(policy, config, until=UNTIL, seed=1)  # noqa: E731
    assert_agrees_with_stable_baselines3("A2C", env_id, agent, use_rms_prop=False)
