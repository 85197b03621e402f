"""The suites that every off-policy agent passes: identity, exact values, truncation, exact continuation, bad input."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from agents.acting.evaluation import play
from agents.dqn import DQNConfig
from agents.policies.q_network import QNetworkConfig
from agents.policies.saved import policy_of
from agents.recipes.off_policy import OffPolicyConfig
from agents.replay.replay import ReplayConfig
from agents.sac import SACConfig
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.cases import OffPolicyCase, cases
from tests.support.learning_envs import TabularEnv
from tests.support.marks import full_but
from tests.support.off_policy import ACTOR, FAST, Q, Training, classic, identity
from training.core import Batch, Budget
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.optimizer.optimizer import check_coverage
from training.seeding import generator

AGENTS = cases(OffPolicyCase)
CONTINUOUS = tuple(name for name, case in AGENTS.items() if case.continuous)
DISCRETE = tuple(name for name, case in AGENTS.items() if not case.continuous)


@pytest.mark.parametrize("name", full_but(["dqn", "sac", "crossq"], AGENTS))
def test_it_learns_to_repeat_what_it_sees(name: str) -> None:
    env = identity(AGENTS[name])
    training = Training(AGENTS[name], env)
    training.run()
    policy = policy_of(copy.deepcopy(training.agent.state_dict()))
    returns, _ = play(make_vec(env, 10, seed=99), policy, 2, mode="greedy", rng=generator(0))
    assert returns.mean() >= (-0.5 if AGENTS[name].continuous else 9.5)


@pytest.mark.parametrize("name", full_but(["dqn", "c51", "sac", "td3"], AGENTS))
def test_a_truncated_episode_is_worth_what_it_would_have_become(name: str) -> None:
    """Reward 1 for ever, cut after 5 steps: worth 10 at gamma 0.9; less than 4 to who takes the cut for an end."""
    kwargs = {"continuous": True} if AGENTS[name].continuous else {}
    env = EnvConfig("tests.support.learning_envs:Endless-v0", kwargs=kwargs, time_limit=5)
    metrics = Training(AGENTS[name], env, env_steps=4_000, gamma=0.9, **AGENTS[name].endless).run()
    assert float(metrics["value/mean"].value) == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("name", full_but(["dqn", "sac_discrete"], DISCRETE))
def test_a_truncated_episode_is_worth_what_may_be_done_after_it(name: str) -> None:
    """-1 for ever with the only action that is allowed, cut after 2 steps: worth -2 at gamma 0.5.

    It is about -1.3 to who asks what all actions are worth there.
    """
    case = AGENTS[name]
    if isinstance(case.policy, QNetworkConfig) and case.policy.distribution == "categorical":
        case = replace(case, policy=replace(case.policy, value_range=(-4.0, 2.0)))
    env = EnvConfig("tests.support.learning_envs:Forbidden-v0")
    training = Training(case, env, env_steps=1_500, **case.endless)
    values = []
    while not training.until.reached(training.now):
        values.append(float(training.update()["value/mean"].value))
    # Of one update alone it is noisy where weights are.
    assert np.mean(values[-20:]) == pytest.approx(-2, abs=0.1)


@pytest.mark.parametrize("time_limit", [pytest.param(None, marks=pytest.mark.full), 2])
@pytest.mark.parametrize("name", full_but(["dqn", "sac_discrete"], DISCRETE))
def test_its_values_approach_the_exact_ones(name: str, time_limit: int | None) -> None:
    env = EnvConfig("tests.support.learning_envs:Tabular-v0", time_limit=time_limit)
    training = Training(AGENTS[name], env, env_steps=8_000, gamma=0.8, **AGENTS[name].tabular)
    training.run()
    batch: Batch = {"obs": torch.arange(3)}
    with torch.no_grad():
        if hasattr(training.agent, "critics"):
            values = training.agent.critics(batch).amin(0)
        else:
            values = training.policy.values(training.policy(batch))
    exact = TabularEnv.solve(0.8)
    # Returns of several steps mix in what the exploring policy did.
    np.testing.assert_allclose(values.numpy(), exact, atol=0.16 if AGENTS[name].replay.n_step > 1 else 0.06)
    assert values.argmax(-1).tolist() == exact.argmax(-1).tolist()


@pytest.mark.parametrize("name", [*AGENTS, "dqn masked"])
def test_a_loaded_state_continues_to_the_bit(name: str) -> None:
    name, _, masked = name.partition(" ")
    env = EnvConfig("tests.support.toy_envs:Masked-v0") if masked else classic(AGENTS[name])
    first, second = (Training(AGENTS[name], env, env_steps=2_000) for _ in range(2))
    for _ in range(3):
        first.update()
    saved = copy.deepcopy({"agent": first.agent.state_dict(), "replay": first.replay.state_dict()})
    second.update()  # a state that the loaded one must replace
    second.agent.load_state_dict(saved["agent"])
    second.replay.load_state_dict(saved["replay"])
    second.now = first.now
    for _ in range(3):
        first.update()
        second.update()
    assert_same(first.agent.state_dict(), second.agent.state_dict())
    assert second.replay.inexact == []


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("name", ["dqn", "sac"])
def test_training_is_the_same_on_every_backend(name: str) -> None:
    weights = []
    for backend in ("batched", "in-process", "subprocess"):
        training = Training(AGENTS[name], replace(classic(AGENTS[name]), backend=backend))
        for _ in range(2):
            training.update()
        training.collector.close()
        weights.append(torch.cat([parameter.flatten() for parameter in training.policy.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


@pytest.mark.full
@pytest.mark.parametrize("name", AGENTS)
def test_compiled_it_learns_the_same(name: str) -> None:
    plain, compiled = (Training(AGENTS[name], classic(AGENTS[name]), compiled=compiled) for compiled in (False, True))
    for _ in range(3):
        measured, other = plain.update(), compiled.update()
        assert measured.keys() == other.keys()
        for key, metric in measured.items():
            torch.testing.assert_close(float(other[key].value), float(metric.value), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", AGENTS)
def test_each_of_its_parameters_is_trained_and_only_by_its_own_loss(name: str) -> None:
    training = Training(AGENTS[name], classic(AGENTS[name]))
    agent = training.agent
    modules = {"policy": training.policy} | ({"critics": agent.critics} if hasattr(agent, "critics") else {})
    learning = getattr(agent, "_learning", agent)
    optimizers = [value for key, value in vars(learning).items() if key.endswith("optimizer")]
    before = {
        key: {part: value.clone() for part, value in module.named_parameters()} for key, module in modules.items()
    }
    for key in before:
        check_coverage(modules[key], optimizers)
    training.update()
    for key, weights in before.items():
        for part, value in modules[key].named_parameters():
            assert not torch.equal(value, weights[part]), f"{key}.{part}"


@pytest.mark.parametrize("name", CONTINUOUS)
def test_discrete_actions_given_to_a_continuous_algorithm_are_one_line(name: str) -> None:
    with pytest.raises(UserError, match=r"action space Discrete\(2\): .* takes a bounded Box of floats"):
        Training(AGENTS[name], EnvConfig("CartPole-v1"))


@pytest.mark.parametrize("name", DISCRETE)
def test_continuous_actions_given_to_a_discrete_algorithm_are_one_line(name: str) -> None:
    with pytest.raises(UserError, match=r"action space Box.* a Discrete one"):
        Training(AGENTS[name], EnvConfig("Pendulum-v1"))


def test_priorities_are_for_those_that_feed_errors_back() -> None:
    replay = ReplayConfig(priority_exponent=0.5)
    with pytest.raises(UserError, match=r"replay\.priority_exponent = 0.5: it takes 0: SACConfig draws all"):
        OffPolicyConfig(agent=SACConfig(), policy=ACTOR, replay=replay, env=EnvConfig("Pendulum-v1"))
    OffPolicyConfig(agent=DQNConfig(), policy=Q, replay=replay, env=EnvConfig("CartPole-v1"))
    with pytest.raises(UserError, match=r"optimizer\.micro_batches = 2: it takes 1"):
        DQNConfig(optimizer=OptimizerConfig(micro_batches=2))


def test_pictures_are_seen_by_actor_and_critics_with_their_own_eyes() -> None:
    """Averages of the critics' weights are theirs: the saved policy keeps its own encoder."""
    env = EnvConfig("tests.support.learning_envs:Seen-v0")
    training = Training(AGENTS["sac"], env, critic_optimizer=replace(FAST, ema_decay=0.5))
    training.update()
    assert training.collector.observation_space.dtype == np.uint8  # type: ignore[attr-defined]
    saved = policy_of(copy.deepcopy(training.agent.state_dict()))
    for key, value in training.policy.state_dict().items():
        assert torch.equal(saved.state_dict()[key], value), key
    buffer = training.replay.state_dict()["buffer"]["segments"][0]
    assert buffer["obs"].dtype == np.uint8


def test_an_algorithm_takes_the_policy_that_it_is_made_for() -> None:
    for name, other, message in (
        ("dqn", "c51", "policy.distribution = 'categorical': DQN takes 'mean'"),
        ("c51", "dqn", "policy.distribution = 'mean': C51 takes 'categorical'"),
        ("qr_dqn", "dqn", "policy.distribution = 'mean': QR-DQN takes 'quantile'"),
    ):
        policy = Training(AGENTS[other], EnvConfig("CartPole-v1")).policy
        with pytest.raises(UserError, match=message):
            AGENTS[name].algorithm(policy, AGENTS[name].config, until=Budget(1), seed=1, minibatch_size=8)
    for name, other in (("sac", "td3"), ("td3", "sac"), ("ddpg", "sac"), ("tqc", "td3")):
        policy = Training(AGENTS[other], EnvConfig("Pendulum-v1")).policy
        with pytest.raises(UserError, match=r"policy\.distribution = .*: it takes '"):
            AGENTS[name].algorithm(policy, AGENTS[name].config, until=Budget(1), seed=1, minibatch_size=8)
