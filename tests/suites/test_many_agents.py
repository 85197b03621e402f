"""Agents as rows, through collector, rollouts, PPO and evaluation: the faults that others had."""

from __future__ import annotations

import copy
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.acting.evaluation import play
from agents.policies.actor_critic import ActorCriticConfig
from agents.policies.saved import policy_of
from envs.config import EnvConfig
from envs.making import make_vec
from tests.agents.test_ppo import CASES
from tests.support.on_policy import SMALL, Training
from training.core import Counters
from training.seeding import generator

LEAVING = EnvConfig("tests.support.toy_matches:parallel_env")
ENDLESS = EnvConfig("tests.support.toy_matches:Endless")
CENTRAL = replace(SMALL, critic_only=("global",))
PPO = CASES["ppo"]


@pytest.mark.parametrize("central", [pytest.param(False, marks=pytest.mark.full), True])
def test_a_match_that_was_cut_is_worth_what_it_would_have_become(central: bool) -> None:
    """Reward 1 for ever, cut after 100 steps: worth 100 at gamma 0.99; 37 to who takes the cut for an end."""
    policy = CENTRAL if central else SMALL
    training = Training(PPO, replace(ENDLESS, global_state=central), policy, gamma=0.99, num_envs=4, **PPO.endless)
    training.run()
    one = {"obs": torch.ones(1, 1)}
    if central:
        one = {"obs/agent": torch.ones(1, 1), "obs/global": torch.tensor([[1.0, 1.0, 1.0, 0.0]])}
    assert float(training.policy.value(one).detach()) == pytest.approx(100, rel=0.1)


def test_env_steps_are_those_of_matches_and_samples_those_of_agents_that_play() -> None:
    """Of matches of 4 steps, in which the agents play 2, 3 and 4."""
    training = Training(PPO, LEAVING, num_envs=4, horizon=8)
    batch, now, _ = training.rollouts.next(Counters())
    assert (now.env_steps, now.samples) == (4 * 8, 4 * 2 * (2 + 3 + 4))
    assert batch["valid"].sum() == now.samples


def test_nothing_is_learned_from_the_rows_of_agents_that_have_left() -> None:
    learned = []
    for spoil in (False, True):
        training = Training(PPO, LEAVING, num_envs=4, horizon=8, minibatch_size=24)
        batch, _, _ = training.rollouts.next(Counters())
        if spoil:
            batch["reward"][~batch["valid"]] = 1e6
            batch["action"][~batch["valid"]] = 1
        training.agent.update(batch, Counters())
        learned.append(torch.cat([parameter.flatten() for parameter in training.policy.parameters()]))
    assert torch.equal(*learned)


def test_the_return_of_an_episode_is_what_the_agents_of_a_match_got_together() -> None:
    """Each step gives agent k k + 1, for 2, 3 and 4 steps."""
    with closing(make_vec(LEAVING, 3, seed=1)) as vec:
        training = Training(PPO, LEAVING, num_envs=4)
        with torch.no_grad():
            training.policy.actor[-1].bias.copy_(torch.tensor([50.0, -50.0]))  # never the action that pays
        returns, lengths = play(vec, training.policy, 2, mode="greedy", rng=generator(0))
    assert returns.tolist() == [2 * 1.0 + 3 * 2.0 + 4 * 3.0] * 6
    assert lengths.tolist() == [4] * 6
    training.rollouts._collector.publish(training.policy, 0)
    _, ended = training.rollouts._collector.collect_episodes(8, "greedy")
    assert {(episode.total_reward, episode.length) for episode in ended} == {(20.0, 4)}
    assert len(ended) == 8


def test_a_critics_view_never_reaches_the_policy_that_acts() -> None:
    training = Training(PPO, replace(LEAVING, global_state=True), replace(CENTRAL, normalize_observation=True))
    training.update()
    policy = policy_of(copy.deepcopy(training.agent.state_dict()))
    own, whole = np.array([[1.0, 2.0, 300.0]], np.float32), np.zeros((1, 12), np.float32)
    outputs = []
    for step in (
        {"obs/agent": own},
        {"obs/agent": own, "obs/global": whole},
        {"obs/agent": own, "obs/global": whole + 9},
    ):
        noise = policy.noise((1,), generator(1))
        outputs += [one.acting("explore", 1)(step, {}, noise)[0]["action"] for one in (policy, training.policy)]
    assert len({int(action[0]) for action in outputs}) == 1
    assert policy.predict({"agent": own[0]}) in (0, 1), "it takes what the agent sees alone"
    batch, _, _ = training.rollouts.next(Counters())
    seen = {key: value[:1] for key, value in batch.items() if key.startswith("obs/")} | {"action": batch["action"][:1]}
    seen["obs/global"].requires_grad_()
    log_prob, _, value = training.policy.evaluate(seen)
    (by_policy,) = torch.autograd.grad(log_prob.sum(), seen["obs/global"], allow_unused=True, retain_graph=True)
    (by_critic,) = torch.autograd.grad(value.sum(), seen["obs/global"])
    assert by_policy is None
    assert by_critic.abs().max() > 0


def test_a_training_of_matches_continues_to_the_bit() -> None:
    policy = ActorCriticConfig(network=SMALL.network, normalize_observation=True, critic_only=("global",))
    env = replace(LEAVING, global_state=True, kwargs={"masked": "info"})
    first, second = (Training(PPO, env, policy, num_envs=4, horizon=10) for _ in range(2))
    for _ in range(3):
        first.update()
    second.update()
    second.agent.load_state_dict(copy.deepcopy(first.agent.state_dict()))
    second.rollouts.load_state_dict(copy.deepcopy(first.rollouts.state_dict()))
    second.now = first.now
    for _ in range(3):
        first.update()
        second.update()
    for key, weight in first.policy.state_dict().items():
        assert torch.equal(weight, second.policy.state_dict()[key]), key
    assert second.rollouts.inexact == []
