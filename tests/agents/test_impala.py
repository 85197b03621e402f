"""IMPALA and APPO: on-policy they are A2C and PPO; off-policy V-trace weighs what an older policy did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from agents.a2c import A2C, A2CConfig
from agents.acting.collector import LocalCollector, make_group
from agents.appo import APPO, APPOConfig
from agents.impala import IMPALA, IMPALAConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.updates.rollout_samples import acted_on, with_vtrace
from envs.config import EnvConfig
from experiments.control.impala_cartpole import Config
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.seeding import generator

WALK = EnvConfig("tests.support.toy_envs:RandomWalk-v0")


def rollout(seed: int = 1) -> tuple[ActorCritic, Batch]:
    """A policy and what it did."""
    collector = LocalCollector(lambda index: make_group(WALK, 3, seed=seed, index=index))
    spaces = collector.observation_space, collector.action_space
    policy = ActorCritic(*spaces, ActorCriticConfig(), generator(seed, "weights"))
    collector.publish(policy, 0)
    return policy, collector.collect(8)[0]


def learned(algorithm: Any, config: Any, batch: Batch) -> tuple[dict[str, torch.Tensor], Any]:
    policy, _ = rollout()
    agent = algorithm(policy, config, until=Budget(1000), seed=1)
    metrics, _ = agent.update(batch, Counters())
    return policy.state_dict(), metrics


def test_on_policy_impala_is_a2c_and_appo_is_ppo() -> None:
    _, batch = rollout()
    numbers: dict[str, Any] = {"horizon": 8, "gamma": 0.9, "entropy_coefficient": 0.01}
    a2c = A2CConfig(**numbers)
    ppo = PPOConfig(**numbers, gae_lambda=1.0, minibatch_size=12, clip_range=0.01)
    appo = APPOConfig(**numbers, minibatch_size=12, epochs=4, clip_range=0.01, optimizer=ppo.optimizer)
    for theirs, ours in (
        ((A2C, a2c), (IMPALA, IMPALAConfig(**numbers, optimizer=a2c.optimizer))),
        ((PPO, ppo), (APPO, appo)),
    ):
        expected, _ = learned(*theirs, batch)
        got, _ = learned(*ours, batch)
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_what_an_older_policy_did_is_weighed_by_the_ratio_and_no_more_than_clipped() -> None:
    policy, batch = rollout()
    now = policy.log_prob(acted_on(batch)).detach()
    config = IMPALAConfig(gamma=0.9)
    shift = torch.linspace(-1, 1, now.numel()).reshape(now.shape)
    old = batch | {"log_prob": now - shift}
    told = with_vtrace(policy, old, config)
    torch.testing.assert_close(told["ratio"], shift.exp())
    torch.testing.assert_close(told["log_prob"], now - shift)
    on_policy = with_vtrace(policy, batch, config)
    torch.testing.assert_close(on_policy["ratio"], torch.ones_like(now))
    # Where every ratio is at least 1 all are clipped to 1: the targets are those of the policy that acted.
    likelier = with_vtrace(policy, batch | {"log_prob": now - 0.5}, config)
    torch.testing.assert_close(likelier["return"], on_policy["return"])
    # What would never be done any more teaches nothing: its targets are the values.
    never = with_vtrace(policy, batch | {"log_prob": now + 50}, config)
    torch.testing.assert_close(never["return"], never["value"])


def test_impala_does_not_follow_what_the_policy_would_never_do() -> None:
    policy, batch = rollout()
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
@pytest.mark.parametrize("config", [IMPALAConfig(), APPOConfig()])
def test_impossible_numbers_are_errors(config: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(config, **change)


def test_rewards_are_not_scaled_where_rollouts_are_of_any_environments() -> None:
    with pytest.raises(UserError, match=r"scale_reward = True: it takes False where workers act behind learning"):
        Config(scale_reward=True)
    assert Config(scale_reward=True, workers=0).scale_reward
