"""REINFORCE: one plain gradient step of the policy, some of the baseline, and the policies that it takes."""

from __future__ import annotations

import pytest

from agents.policies.actor_critic import ActorCriticConfig
from agents.reinforce import Reinforce, ReinforceConfig
from envs.config import EnvConfig
from tests.support.cases import OnPolicyCase
from tests.support.collectors import make_collector
from tests.support.on_policy import LINEAR, make_policy
from tests.support.rollouts import (
    PLAIN_STEP,
    UNTIL,
    after_step,
    assert_moved_to,
    distribution,
    make_opinionated,
    monte_carlo,
)
from training.core import Budget, Counters
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig

CASES = {
    "reinforce": OnPolicyCase(
        algorithm=Reinforce,
        config=ReinforceConfig(
            horizon=20,
            gamma=0.5,
            policy_optimizer=OptimizerConfig(learning_rate=2e-2, schedule=LINEAR, max_grad_norm=0.5),
            baseline_optimizer=OptimizerConfig(learning_rate=1e-2),
        ),
        env_steps=20_000,
        endless={"baseline_optimizer": OptimizerConfig(learning_rate=0.1, schedule=LINEAR), "horizon": 32},
    )
}
RESUMED = {
    "reinforce_cartpole": ["--agent.horizon", "64"],
    "reinforce_cartpole-compiled": ["--agent.horizon", "64", "--agent.baseline-steps", "9", "--compile"],
}


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_reinforces_update_is_one_plain_step_of_the_policy_and_some_of_the_baseline(
    env_id: str, normalize: bool
) -> None:
    policy, batch = make_opinionated(env_id)
    config = ReinforceConfig(
        gamma=0.9,
        entropy_coefficient=0.3,
        normalize_advantage=normalize,
        baseline_steps=3,
        policy_optimizer=PLAIN_STEP,
        baseline_optimizer=PLAIN_STEP,
    )
    obs, action, value, target = monte_carlo(policy, batch, config.gamma)
    advantage = target - value
    if normalize:
        advantage = (advantage - advantage.mean()) / advantage.std()
    now = distribution(policy, obs)
    expected = after_step(
        policy, -(now.log_prob(action) * advantage).mean() - 0.3 * now.entropy().mean(), "actor heads"
    )
    baseline, _ = make_opinionated(env_id)
    for _ in range(3):
        stepped = after_step(baseline, (baseline.critic(obs)[:, 0] - target).pow(2).mean(), "critic")
        baseline.load_state_dict(stepped, strict=False)
    expected |= stepped
    Reinforce(policy, config, until=UNTIL, seed=1).update(batch, Counters())
    assert_moved_to(policy, expected)


def test_a_shared_encoder_is_refused() -> None:
    env = EnvConfig("tests.support.learning_envs:Picture-v0")
    config = ActorCriticConfig(network=NetworkConfig(hidden=(16,), cnn="small"))
    policy = make_policy(CASES["reinforce"], make_collector(env, 2), config)
    with pytest.raises(UserError, match="shared_encoder = True: it takes False"):
        Reinforce(policy, CASES["reinforce"].config, until=Budget(1), seed=1)
