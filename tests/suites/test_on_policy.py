"""The suites that every on-policy agent passes: identity, alignment by counting, truncation, exact continuation."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from agents.acting.evaluation import Evaluation, EvaluationConfig, play
from agents.acting.rollouts import Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.saved import policy_of
from agents.ppo import PPO
from agents.updates.rollout_samples import to_samples
from benchmarks.structure import algorithms
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support import ROOT
from tests.support.cases import OfflineCase, OffPolicyCase, OnPolicyCase, cases
from tests.support.collectors import make_collector
from tests.support.marks import full_but
from tests.support.on_policy import SMALL, Training
from training.core import Budget, Counters
from training.experiments import constant_of, find_scripts
from training.networks import NetworkConfig
from training.seeding import generator

AGENTS = cases(OnPolicyCase)
QUICK = ("ppo", "a2c", "impala", "pqn")
ANY_ACTIONS = [name for name, case in AGENTS.items() if case.any_actions]
PPO_SMALL = AGENTS["ppo"].config


def value_of_ones(policy: Any) -> float:
    """The value of an observation of 1; with a memory, of the twentieth in a row."""
    if not policy.has_memory:
        return float(policy.value({"obs": torch.ones(1, 1)}).detach())
    batch = {"obs": torch.ones(20, 1, 1), "is_first": torch.zeros(20, 1, dtype=torch.bool)}
    batch["is_first"][0] = True
    batch |= {f"state/{name}": torch.zeros(1, 2, 16) for name in ("actor", "critic")}
    return float(policy.value(batch).detach()[-1])


def test_every_algorithm_is_in_these_suites() -> None:
    """Its own test declares its cases, or says why it is `ELSEWHERE`."""
    here = {
        case.algorithm.__module__
        for kind in (OnPolicyCase, OffPolicyCase, OfflineCase)
        for case in cases(kind).values()
    }
    declared = {name.replace("test_", "agents.", 1) for name in find_scripts("tests.agents", "CASES")}
    elsewhere = {name.replace("test_", "agents.", 1) for name in find_scripts("tests.agents", "ELSEWHERE")}
    assert here == declared, "each has a case in its own test"
    assert set(algorithms(ROOT)) == here | elsewhere
    assert not here & elsewhere
    assert all(constant_of(path, "ELSEWHERE") for path in find_scripts("tests.agents", "ELSEWHERE").values())


@pytest.mark.parametrize(
    ("name", "kind", "at_least"),
    [
        *full_but([(name, "discrete", 9.5) for name in QUICK], [(name, "discrete", 9.5) for name in AGENTS]),
        *full_but([("ppo", "box", -0.5)], [(name, "box", -0.5) for name in ANY_ACTIONS]),
        ("ppo", "multi_discrete", 9.5),
        ("ppo", "multi_binary", 9.5),
        ("ppo", "dict", 9.0),
    ],
)
def test_it_learns_to_repeat_what_it_sees(name: str, kind: str, at_least: float) -> None:
    env = EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": kind})
    training = Training(AGENTS[name], env)
    training.run()
    returns, _ = play(make_vec(env, 10, seed=99), training.policy, 2, mode="greedy", rng=generator(0))
    assert returns.mean() >= at_least


@pytest.mark.parametrize("name", full_but(QUICK, AGENTS))
def test_a_truncated_episode_is_worth_what_it_would_have_become(name: str) -> None:
    """Reward 1 for ever, cut after 100 steps: worth 100 at gamma 0.99; 37 to who takes the cut for an end."""
    case = AGENTS[name]
    training = Training(case, EnvConfig("tests.support.learning_envs:Endless-v0"), gamma=0.99, **case.endless)
    training.run()
    assert value_of_ones(training.policy) == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize("name", AGENTS)
def test_the_normalizer_takes_each_observation_acted_on_once_and_after_the_update(name: str) -> None:
    env = EnvConfig("CartPole-v1")
    training = Training(AGENTS[name], env, replace(SMALL, normalize_observation=True), num_envs=4)
    batch, now, _ = training.rollouts.next(Counters())
    normalizer = training.policy.normalizers["obs"]
    before = copy.deepcopy(normalizer)
    assert before.count == now.env_steps - now.samples > 0, "the first update has statistics of rollouts before it"
    training.agent.update(batch, Counters())
    seen = batch["obs"][: AGENTS[name].config.horizon].flatten(0, 1)
    before.update(seen)
    for key, value in before.named_buffers():
        torch.testing.assert_close(getattr(normalizer, key), value, msg=key)


@pytest.mark.parametrize(
    ("name", "env_id"),
    [*((name, "CartPole-v1") for name in AGENTS), *((name, "Pendulum-v1") for name in ANY_ACTIONS)],
)
def test_a_loaded_state_continues_to_the_bit(name: str, env_id: str) -> None:
    policy = ActorCriticConfig(network=NetworkConfig(hidden=(16,)), normalize_observation=True)
    first = Training(AGENTS[name], EnvConfig(env_id), policy, num_envs=4)
    for _ in range(3):
        first.update()
    saved = _copied({"agent": first.agent.state_dict(), "rollouts": first.rollouts.state_dict()})
    second = Training(AGENTS[name], EnvConfig(env_id), policy, num_envs=4)
    second.update()  # a state that the loaded one must replace
    second.agent.load_state_dict(saved["agent"])
    second.rollouts.load_state_dict(saved["rollouts"])
    second.now = first.now
    for _ in range(3):
        first.update()
        second.update()
    for key, weight in first.policy.state_dict().items():
        assert torch.equal(weight, second.policy.state_dict()[key]), key
    assert second.rollouts.inexact == []


@pytest.mark.parametrize("backend", ["in-process", "subprocess"])
def test_training_is_the_same_on_every_backend(backend: Any) -> None:
    weights = []
    for other in ("batched", backend):
        training = Training(AGENTS["ppo"], EnvConfig("CartPole-v1", backend=other), num_envs=4)
        for _ in range(2):
            training.update()
        weights.append(torch.cat([parameter.flatten() for parameter in training.policy.parameters()]))
    assert torch.equal(weights[0], weights[1])


def test_an_action_mask_is_obeyed_and_learned_with() -> None:
    training = Training(AGENTS["ppo"], EnvConfig("tests.support.toy_envs:Masked-v0"))
    batch, _, _ = training.rollouts.next(Counters())
    allowed = batch["action_mask"][:-1].gather(-1, batch["action"].unsqueeze(-1))
    assert allowed.all()
    training.agent.update(batch, Counters())


def test_a_policy_can_be_built_from_what_it_saves() -> None:
    import gymnasium as gym

    training = Training(AGENTS["ppo"], EnvConfig("Pendulum-v1"), ActorCriticConfig(normalize_observation=True))
    training.update()
    built = policy_of(_copied(training.agent.state_dict()))
    env = gym.make("Pendulum-v1")
    obs, _ = env.reset(seed=5)
    action = built.predict(obs)
    assert env.action_space.contains(action)
    np.testing.assert_array_equal(action, training.policy.predict(obs))
    built.update_normalizers({"obs": torch.full((1, 3), 100.0)})
    assert not np.array_equal(built.predict(obs), action), "the normalization is inside"


def test_evaluation_moves_no_part_of_the_training() -> None:
    env = EnvConfig("Pendulum-v1")
    weights = []
    for evaluates in (True, False):
        training = Training(AGENTS["ppo"], env, ActorCriticConfig(normalize_observation=True), num_envs=4)
        evaluate = Evaluation(env, EvaluationConfig(episodes=4, num_envs=4, greedy=False), seed=1)
        scores = []
        for _ in range(3):
            training.update()
            scores += [evaluate(training.agent), evaluate(training.agent)] if evaluates else []
        assert scores[0::2] == scores[1::2], "the same agent has the same score"
        assert not evaluates or scores[0] != scores[2]
        weights.append(torch.cat([parameter.flatten() for parameter in training.policy.parameters()]))
    assert torch.equal(weights[0], weights[1])


def test_averaged_weights_are_those_that_are_evaluated_and_loaded() -> None:
    collector = make_collector(EnvConfig("CartPole-v1"), 4)
    policy = ActorCritic(collector.observation_space, collector.action_space, SMALL, generator(1, "weights"))
    config = replace(PPO_SMALL, optimizer=replace(PPO_SMALL.optimizer, ema_decay=1 - 1e-9))
    agent = PPO(policy, config, until=Budget(1000), seed=1)
    initial = {key: value.clone() for key, value in policy.state_dict().items()}
    batch, _, _ = Rollouts(collector, policy, 32).next(Counters())
    agent.update(batch, Counters())
    loaded = policy_of(_copied(agent.state_dict())).state_dict()
    for key, value in initial.items():
        torch.testing.assert_close(loaded[key], value, rtol=0, atol=1e-6)  # so slow an average has not moved
        assert not torch.allclose(policy.state_dict()[key], value, atol=1e-6), key


def test_pictures_are_learned_from_by_a_shared_encoder() -> None:
    env = EnvConfig("tests.support.learning_envs:Picture-v0")
    training = Training(AGENTS["ppo"], env, ActorCriticConfig(network=NetworkConfig(hidden=(16,), cnn="small")))
    encoder = [key for key, _ in training.policy.named_parameters() if "encoder" in key]
    assert encoder
    assert not any("critic_encoder" in key for key in encoder)
    for _ in range(10):
        training.update()
    returns, _ = play(make_vec(env, 10, seed=99), training.policy, 2, mode="greedy", rng=generator(0))
    assert returns.mean() >= 9.5


def test_separate_encoders_share_no_weight() -> None:
    config = ActorCriticConfig(network=NetworkConfig(hidden=(16,), cnn="small"), shared_encoder=False)
    training = Training(AGENTS["ppo"], EnvConfig("tests.support.learning_envs:Picture-v0"), config)
    policy = training.policy
    actor, critic = dict(policy.actor_encoder.named_parameters()), dict(policy.critic_encoder.named_parameters())
    assert actor
    assert actor.keys() == critic.keys()
    assert not any(torch.equal(value, critic[key]) for key, value in actor.items() if value.dim() > 1)
    batch, _, _ = training.rollouts.next(Counters())
    data = to_samples(batch, {})
    log_prob, _, value = policy.evaluate(data)
    torch.testing.assert_close(value, policy.value(data))
    for loss, learns, others in ((log_prob, actor, critic), (value, critic, actor)):
        policy.zero_grad()
        loss.sum().backward()
        assert all(parameter.grad.abs().max() > 0 for key, parameter in learns.items() if "weight" in key)  # type: ignore[union-attr]
        assert all(parameter.grad is None for parameter in others.values())


def test_an_update_that_is_skipped_is_counted_and_changes_nothing() -> None:
    training = Training(AGENTS["ppo"], EnvConfig("CartPole-v1"))
    config = replace(PPO_SMALL, target_kl=0.01, optimizer=replace(PPO_SMALL.optimizer, on_non_finite="skip"))
    agent = PPO(training.policy, config, until=Budget(1000), seed=1)
    batch, _, _ = training.rollouts.next(Counters())
    batch["reward"][:] = float("nan")
    before = {key: value.clone() for key, value in training.policy.named_parameters()}
    metrics, _ = agent.update(batch, Counters())
    assert float(metrics["optimizer/skipped_updates"].value) == config.epochs * 4
    for key, value in training.policy.named_parameters():
        assert torch.equal(value, before[key]), key


def _copied(state: Any) -> Any:
    """As a checkpoint would: nothing of it is shared with the living object."""
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_copied(value) for value in state]
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    return state.copy() if isinstance(state, np.ndarray) else state
