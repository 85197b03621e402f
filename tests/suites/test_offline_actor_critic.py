"""Offline actor-critics: they do better than the data, by the equations of their papers, and continue to the bit."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from agents.acting.evaluation import play
from agents.cql import CQL, CQLConfig
from agents.iql import IQL, IQLConfig, expectile_loss
from agents.policies.actor import Actor, ActorConfig
from agents.policies.saved import policy_of
from agents.recipes.offline_actor_critic import DatasetReplay
from agents.td3_bc import TD3BC, TD3BCConfig
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.recorded import record_random
from training.core import Budget, Counters
from training.errors import UserError
from training.metrics import Metrics
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.optimizer.config import with_compile
from training.optimizer.optimizer import check_coverage
from training.seeding import generator

IDENTITY = EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": "box"})
NETWORK = NetworkConfig(hidden=(32,), activation="relu")
FAST = OptimizerConfig(learning_rate=5e-3)
ACTOR = ActorConfig(network=NETWORK)
SHARED: dict[str, Any] = {
    "minibatch_size": 64,
    "gamma": 0.5,
    "tau": 0.05,
    "critic_network": NETWORK,
    "actor_optimizer": FAST,
    "critic_optimizer": FAST,
}
AGENTS: dict[str, tuple[Any, Any, ActorConfig]] = {
    "iql": (IQL, IQLConfig(expectile=0.9, inverse_temperature=10.0, **SHARED), ACTOR),
    "td3_bc": (TD3BC, TD3BCConfig(value_weight=10.0, **SHARED), replace(ACTOR, distribution="deterministic")),
    "cql": (CQL, CQLConfig(conservative_weight=0.1, sampled_actions=3, **SHARED), ACTOR),
}


class Training:
    """A run without folder."""

    def __init__(self, name: str, env: EnvConfig = IDENTITY, *, episodes: int = 100, compiled: bool = False) -> None:
        algorithm, config, policy = AGENTS[name]
        self.episodes, _ = record_random(env, episodes)
        spaces = self.episodes.observation_space, self.episodes.action_space
        self.until, self.now = Budget(60, "epochs"), Counters()
        self.policy = Actor(*spaces, policy, generator(1, "weights"))
        self.agent = algorithm(self.policy, with_compile(config, compiled), until=self.until, seed=1)
        learned = replace(self.episodes, action=self.policy.learned_action(self.episodes.action))
        self.stream = DatasetReplay(learned, 64, gamma=config.gamma, seed=1)

    def update(self) -> Metrics:
        batch, after, _ = self.stream.next(self.now)
        metrics, feedback = self.agent.update(batch, self.now)
        self.stream.learned(feedback)
        self.now = after.advance(updates=1)
        return metrics


@pytest.mark.parametrize("name", AGENTS)
def test_from_random_actions_it_learns_the_right_ones(name: str) -> None:
    training = Training(name)
    while not training.until.reached(training.now):
        training.update()
    policy = policy_of(copy.deepcopy(training.agent.state_dict()))
    returns, _ = play(make_vec(IDENTITY, 10, seed=99), policy, 2, mode="greedy", rng=generator(0))
    assert training.episodes.returns.mean() < -6
    assert returns.mean() > -1.5


@pytest.mark.parametrize("name", AGENTS)
def test_a_loaded_state_continues_to_the_bit(name: str) -> None:
    first, second = Training(name), Training(name)
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
    plain, compiled = Training(name), Training(name, compiled=True)
    for _ in range(3):
        measured, other = plain.update(), compiled.update()
        for key, metric in measured.items():
            torch.testing.assert_close(float(other[key].value), float(metric.value), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", AGENTS)
def test_each_of_its_parameters_is_trained(name: str) -> None:
    training = Training(name)
    agent = training.agent
    learning = getattr(agent, "_learning", agent)
    optimizers = [value for key, value in vars(learning).items() if key.endswith("optimizer")]
    modules = [training.policy, agent.critics, *([agent._value] if name == "iql" else [])]
    before = [[p.clone() for p in module.parameters()] for module in modules]
    for _ in range(2):
        training.update()
    for module, weights in zip(modules, before, strict=True):
        check_coverage(module, optimizers)
        for value, old in zip(module.parameters(), weights, strict=True):
            assert not torch.equal(value, old)


def test_an_epoch_is_as_many_samples_as_there_are_steps() -> None:
    training = Training("iql", episodes=20)
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


def test_the_expectile_of_two_values_lies_between_them() -> None:
    error = torch.tensor([-2.0, 3.0])
    assert expectile_loss(error, 0.9).tolist() == pytest.approx([0.1 * 4, 0.9 * 9])
    values = torch.tensor([0.0, 1.0])
    guesses = torch.linspace(0, 1, 1001)
    best = guesses[expectile_loss(values - guesses[:, None], 0.9).sum(1).argmin()]
    assert best == pytest.approx(0.9, abs=1e-3)


def test_the_conservative_penalty_is_the_soft_maximum_minus_the_datas_value() -> None:
    """Written out: an importance-weighted sum over the uniform, the policy's and the next policy's actions."""
    training = Training("cql")
    agent, policy = training.agent, training.policy
    batch, _, _ = training.stream.next(Counters())
    batch = {key: value[:5] for key, value in batch.items()}
    rng = generator(7)
    batch["uniform"] = 2 * torch.rand(5, 3, 1, generator=rng) - 1
    batch["sample_noise"], batch["next_sample_noise"] = torch.randn(2, 5, 3, 1, generator=rng)
    with torch.no_grad():
        found = agent._soft_maximum({"obs": batch["obs"]}, batch)
        for row in range(5):
            terms = []
            for k in range(3):
                drawn = [(batch["uniform"][row, k], torch.tensor(-np.log(2.0)))]
                for prefix in ("", "next_"):
                    one = {f"{prefix}obs": batch[f"{prefix}obs"][row : row + 1]}
                    noise = batch[f"{prefix}sample_noise"][row, k][None]
                    action, log_prob = policy.reparametrized(one, noise, prefix)
                    drawn.append((action[0], log_prob[0]))
                for action, log_prob in drawn:
                    value = agent.critics({"obs": batch["obs"][row : row + 1]}, action[None])[:, 0, 0]
                    terms.append(value - log_prob)
            expected = torch.stack(terms).exp().mean(0).log()
            torch.testing.assert_close(found[:, row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (IQLConfig, {"expectile": 1.0}, "expectile = 1.0: it takes a number between 0 and 1"),
        (TD3BCConfig, {"value_weight": -1.0}, "value_weight = -1.0"),
        (
            TD3BCConfig,
            {"actor_optimizer": OptimizerConfig(micro_batches=2)},
            r"actor_optimizer\.micro_batches = 2: it takes 1: the value's weight",
        ),
        (CQLConfig, {"sampled_actions": 0}, "sampled_actions = 0: it takes at least 1"),
        (CQLConfig, {"minibatch_size": 0}, "minibatch_size = 0: it takes at least 1"),
    ],
)
def test_impossible_numbers_are_named(config: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config(**changes)


@pytest.mark.parametrize("name", AGENTS)
def test_discrete_data_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(UserError, match="takes a bounded Box of floats"):
        Training(name, EnvConfig("CartPole-v1"), episodes=3)
