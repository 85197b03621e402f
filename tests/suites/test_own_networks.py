"""A network of somebody's own in every policy: it is learned with, acted with, followed by targets, saved and built."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from agents.acting.evaluation import play
from agents.policies.actor import Actor, ActorConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.decision_transformer import DecisionTransformerPolicy, DecisionTransformerPolicyConfig
from agents.policies.policy import NetworkPolicy
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from agents.policies.saved import build_policy
from agents.updates.targets import follower, frozen_copy
from envs.config import EnvConfig
from envs.making import make_vec
from envs.single import make_env
from tests.suites.test_off_policy import assert_same
from tests.support import ROOT, off_policy
from tests.support.cases import OffPolicyCase, OnPolicyCase, cases
from tests.support.networks import Extractor, Noisy, Plain
from tests.support.on_policy import SMALL, Training
from training.errors import UserError
from training.networks import NetworkConfig
from training.networks.own import buffers_of_own
from training.seeding import generator

NOISY = NetworkConfig(hidden=(16,), module=Noisy)  # type: ignore[arg-type]
POLICIES: dict[str, tuple[Any, Any, str]] = {
    "actor-critic": (ActorCritic, ActorCriticConfig(network=NOISY, normalize_observation=True), "CartPole-v1"),
    "separate": (ActorCritic, ActorCriticConfig(network=NOISY, shared_encoder=False), "Pendulum-v1"),
    "recurrent": (RecurrentActorCritic, RecurrentActorCriticConfig(network=NOISY, memory_size=8), "CartPole-v1"),
    "q-network": (QNetwork, QNetworkConfig(network=NOISY), "CartPole-v1"),
    "actor": (Actor, ActorConfig(network=NOISY), "Pendulum-v1"),
    "decision-transformer": (
        DecisionTransformerPolicy,
        DecisionTransformerPolicyConfig(module=Noisy, context=3),  # type: ignore[arg-type]
        "Pendulum-v1",
    ),
}


def make(name: str) -> tuple[NetworkPolicy, EnvConfig]:
    kind, config, env = POLICIES[name]
    made = make_env(EnvConfig(env))
    policy: NetworkPolicy = kind(made.observation_space, made.action_space, config, generator(1))
    return policy, EnvConfig(env)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_acts_in_eval_mode_and_is_built_again_by_the_import_path(name: str) -> None:
    policy, env = make(name)
    buffers = buffers_of_own(policy)
    assert len(buffers) == 6 if name == "separate" else 3
    with torch.no_grad():
        for buffer in buffers:
            buffer.add_(3)  # as training has moved them
    saved = policy.save()
    json.dumps(saved["config"])
    built = build_policy(saved)
    built.load_state_dict(saved["weights"])
    before = [buffer.clone() for buffer in buffers]
    played = [
        play(make_vec(env, 2, seed=7), one, 1, mode=mode, rng=generator(0))[0]
        for one in (policy, built)
        for mode in ("greedy", "explore")
    ]
    np.testing.assert_array_equal(played[:2], played[2:])
    assert all(map(torch.equal, before, buffers))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("ppo", Noisy),
        pytest.param("ppo", Plain, marks=pytest.mark.full),
        ("ppo", Extractor),
        pytest.param("recurrent_ppo", Plain, marks=pytest.mark.full),
    ],
)
def test_on_policy_learning_with_it(name: str, module: Any) -> None:
    """Identity: to repeat what is seen."""
    env = EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": "discrete"})
    if module is Extractor:
        env = replace(env, kwargs={"kind": "box"})
    arguments = {"share": 0.05} if module is Noisy else {}
    network = NetworkConfig(hidden=(32,), module=module, module_kwargs=arguments)
    training = Training(cases(OnPolicyCase)[name], env, replace(SMALL, network=network))
    before = {key: value.detach().clone() for key, value in training.policy.named_parameters()}
    training.run()
    assert all(not torch.equal(value, before[key]) for key, value in training.policy.named_parameters())
    returns, _ = play(make_vec(env, 10, seed=99), training.policy, 2, mode="greedy", rng=generator(0))
    assert returns.mean() >= (-0.6 if module is Extractor else 9.0)


@pytest.mark.parametrize("name", ["ppo", "recurrent_ppo", "dqn", "td3", "sac"])
def test_a_loaded_state_continues_to_the_bit(name: str) -> None:
    """With dropout and statistics, of the policy, its critics and their targets."""
    first, second = (noisy_training(name) for _ in range(2))
    for _ in range(3):
        first.update()
    saved = copy.deepcopy({"agent": first.agent.state_dict(), "stream": stream(first).state_dict()})
    second.update()  # a state that the loaded one must replace
    second.agent.load_state_dict(saved["agent"])
    stream(second).load_state_dict(saved["stream"])
    second.now = first.now
    torch.manual_seed(7)  # which nothing may draw from
    for _ in range(3):
        first.update()
        second.update()
    assert_same(first.agent.state_dict(), second.agent.state_dict())
    moved = buffers_of_own(first.policy)
    assert all(not torch.equal(*pair) for pair in zip(moved, buffers_of_own(noisy_training(name).policy), strict=True))


def noisy_training(name: str) -> Any:
    if name in cases(OnPolicyCase):
        return Training(cases(OnPolicyCase)[name], EnvConfig("CartPole-v1"), replace(SMALL, network=NOISY), num_envs=4)
    case = cases(OffPolicyCase)[name]
    changes = {"critic_network": NOISY} if case.continuous else {}
    case = replace(case, policy=replace(case.policy, network=NOISY), config=replace(case.config, **changes))
    return off_policy.Training(case, off_policy.classic(case), env_steps=2_000)


def stream(training: Any) -> Any:
    return training.rollouts if hasattr(training, "rollouts") else training.replay


def test_a_target_takes_over_the_statistics_of_what_it_follows() -> None:
    policy, _ = make("actor")
    target = frozen_copy(policy)
    follow = follower(target, policy, 0.5)
    policy.params({"obs": torch.randn(8, 3, generator=generator(3))})  # type: ignore[operator]
    with torch.no_grad():
        next(policy.parameters()).add_(1.0)
    online, followed, weight = buffers_of_own(policy), buffers_of_own(target), next(target.parameters()).clone()
    assert not all(map(torch.equal, online, followed))
    follow()
    assert all(map(torch.equal, online, followed))
    torch.testing.assert_close(next(target.parameters()), weight + 0.5)


def test_a_class_of_a_notebook_is_loaded_in_another_process_by_nobody() -> None:
    code = """
import json, sys, torch
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.saved import build_policy
from gymnasium import spaces
from tests.support.networks import Plain
from training.networks import NetworkConfig
from training.seeding import generator

class Mine(Plain): ...

config = ActorCriticConfig(network=NetworkConfig(module=Mine))
policy = ActorCritic(spaces.Box(-1, 1, (3,)), spaces.Discrete(2), config, generator(1))
assert type(build_policy(policy.save()).actor_encoder.own.module) is Mine
print(json.dumps(policy.save()["config"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    policy, _ = make("actor-critic")
    with pytest.raises(UserError, match=r"module = '__main__:Mine': it was defined in another script or notebook"):
        build_policy(policy.save() | {"config": json.loads(done.stdout)})
