"""Offline actor-critics: they do better than the data, and continue to the bit."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.acting.evaluation import play
from agents.policies.actor import Actor
from agents.policies.saved import policy_of
from agents.recipes.offline_actor_critic import DatasetReplay
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.cases import OfflineCase, cases
from tests.support.offline import ACTOR, IDENTITY, Training
from tests.support.recorded import record_random
from training.core import Counters
from training.errors import UserError
from training.optimizer.optimizer import check_coverage
from training.seeding import generator

AGENTS = cases(OfflineCase)


@pytest.mark.parametrize("name", AGENTS)
def test_from_random_actions_it_learns_the_right_ones(name: str) -> None:
    training = Training(AGENTS[name])
    while not training.until.reached(training.now):
        training.update()
    policy = policy_of(copy.deepcopy(training.agent.state_dict()))
    returns, _ = play(make_vec(IDENTITY, 10, seed=99), policy, 2, mode="greedy", rng=generator(0))
    assert training.episodes.returns.mean() < -6
    assert returns.mean() > -1.5


@pytest.mark.parametrize("name", AGENTS)
def test_a_loaded_state_continues_to_the_bit(name: str) -> None:
    first, second = Training(AGENTS[name]), Training(AGENTS[name])
    for _ in range(3):
        first.update()
    saved = copy.deepcopy({"agent": first.agent.state_dict(), "stream": first.stream.state_dict()})
    second.update()
    second.agent.load_state_dict(saved["agent"])
    second.stream.load_state_dict(saved["stream"])
    second.now = first.now
    for _ in range(3):
        first.update()
        second.update()
    weights = [torch.cat([p.flatten() for p in training.policy.parameters()]) for training in (first, second)]
    assert torch.equal(weights[0], weights[1])
    assert first.now == second.now


@pytest.mark.full
@pytest.mark.parametrize("name", AGENTS)
def test_compiled_it_learns_the_same(name: str) -> None:
    plain, compiled = Training(AGENTS[name]), Training(AGENTS[name], compiled=True)
    for _ in range(3):
        measured, other = plain.update(), compiled.update()
        for key, metric in measured.items():
            torch.testing.assert_close(float(other[key].value), float(metric.value), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", AGENTS)
def test_each_of_its_parameters_is_trained(name: str) -> None:
    training = Training(AGENTS[name])
    agent = training.agent
    learning = getattr(agent, "_learning", agent)
    optimizers = [value for key, value in vars(learning).items() if key.endswith("optimizer")]
    modules = [training.policy, agent.critics, *([agent._value] if hasattr(agent, "_value") else [])]
    before = [[p.clone() for p in module.parameters()] for module in modules]
    for _ in range(2):
        training.update()
    for module, weights in zip(modules, before, strict=True):
        check_coverage(module, optimizers)
        for value, old in zip(module.parameters(), weights, strict=True):
            assert not torch.equal(value, old)


def test_an_epoch_is_as_many_samples_as_there_are_steps() -> None:
    training = Training(AGENTS["iql"], episodes=20)
    assert training.episodes.steps == 200
    epochs = []
    for _ in range(7):
        training.update()
        epochs.append((training.now.samples, training.now.epochs))
    assert epochs == [(64, 0), (128, 0), (192, 0), (256, 1), (320, 1), (384, 1), (448, 2)]


def test_transitions_are_those_of_the_data_in_the_terms_of_the_policy() -> None:
    env = EnvConfig("Pendulum-v1", time_limit=7)
    episodes, _ = record_random(env, 4)
    policy = Actor(episodes.observation_space, episodes.action_space, ACTOR, generator(1))
    learned = replace(episodes, action=policy.learned_action(episodes.action))
    batch, _, _ = DatasetReplay(learned, 28, gamma=0.9, seed=1).next(Counters())
    rows = episodes.obs_rows
    for sample in range(28):
        (step,) = np.flatnonzero((episodes.obs["obs"][rows] == batch["obs"][sample].numpy()).all(1))
        np.testing.assert_allclose(2 * batch["action"][sample], episodes.action["action"][step], atol=1e-6)
        np.testing.assert_array_equal(batch["next_obs"][sample], episodes.obs["obs"][rows[step] + 1])
        assert batch["reward"][sample] == np.float32(episodes.reward[step])
        assert batch["discount"][sample] == np.float32(0.9), "Pendulum's episodes are cut, they do not end"


def test_a_dataset_smaller_than_a_batch_is_one_line() -> None:
    episodes, _ = record_random(IDENTITY, 2)
    with pytest.raises(UserError, match=r"agent\.minibatch_size = 64: it takes 1 to 20, the steps of the dataset"):
        DatasetReplay(episodes, 64, gamma=0.9, seed=1)


@pytest.mark.parametrize("name", AGENTS)
def test_discrete_data_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(UserError, match="takes a bounded Box of floats"):
        Training(AGENTS[name], EnvConfig("CartPole-v1"), episodes=3)
