"""Bandits: indices and posteriors by hand, counting, and the loop's promises where there is nothing to see."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.acting.collector import Group, LocalCollector
from agents.acting.rollouts import Rollouts
from agents.bandits import Bandit, BanditPolicy, BanditPolicyConfig, regret, thompson_sample, ucb1_index
from agents.policies.saved import policy_of
from envs.config import EnvConfig
from envs.making import make_vec
from envs.tasks.bandits import PROBABILITIES, BernoulliBandit
from training.core import Counters
from training.errors import UserError
from training.seeding import generator

ELSEWHERE = "they see nothing that they could repeat: what the suites ask of the others is asked here"
RESUMED: dict[str, list[str]] = {"bandit_bernoulli": []}  # counts instead of weights, one environment
STRATEGIES: list[Any] = ["epsilon-greedy", "ucb1", "thompson"]
ENV = EnvConfig("envs.tasks:BernoulliBandit-v0")


def make_policy(arms: int = 10, **config: Any) -> BanditPolicy:
    return BanditPolicy(
        gym.spaces.Discrete(1), gym.spaces.Discrete(arms), BanditPolicyConfig(**config), generator(1, "weights")
    )


class Training:
    """A run without folder: the same loop as `fit`, step by step."""

    def __init__(self, strategy: Any, env: EnvConfig = ENV, *, num_envs: int = 1, horizon: int = 1) -> None:
        self.collector = LocalCollector(
            lambda index: Group(make_vec(env, num_envs, seed=3, first_env=index), seed=1, index=index)
        )
        spaces = self.collector.observation_space, self.collector.action_space
        self.policy = BanditPolicy(*spaces, BanditPolicyConfig(strategy), generator(1, "weights"))
        self.agent, self.now = Bandit(self.policy), Counters()
        self.rollouts = Rollouts(self.collector, self.policy, horizon)

    def run(self, updates: int) -> None:
        for _ in range(updates):
            batch, after, _ = self.rollouts.next(self.now)
            self.agent.update(batch, self.now)
            self.now = after.advance(updates=1)


def chosen(policy: BanditPolicy, mode: Any, rows: int, seed: int = 1, **step: Any) -> np.ndarray:
    noise = {} if mode == "greedy" else policy.noise((rows,), generator(seed))
    action, _ = policy.acting(mode, rows)({"obs": np.zeros(rows, np.int64), **step}, {}, noise)
    return action["action"]


def shares(arms: np.ndarray, of: int) -> np.ndarray:
    return np.bincount(arms, minlength=of) / len(arms)


def test_the_index_of_ucb1_by_hand() -> None:
    index = ucb1_index(np.array([1, 3, 0]), np.array([1, 1, 0]))
    # 1 + sqrt(2 ln 4 / 1), 1/3 + sqrt(2 ln 4 / 3), never pulled
    np.testing.assert_allclose(index, [2.665109222, 1.294684591, np.inf], rtol=1e-8)
    assert np.isinf(ucb1_index(np.zeros(2, int), np.zeros(2, int))).all()


def test_a_thompson_sample_is_the_inverse_of_the_posterior() -> None:
    """Beta(1, 1) is even; the distribution functions of Beta(2, 1) and Beta(1, 2) are x^2 and 1 - (1 - x)^2."""
    u = np.array([[0.04, 0.25, 0.36], [0.5, 0.81, 0.75]])
    drawn = thompson_sample(np.array([0, 1, 1]), np.array([0, 1, 0]), u)
    np.testing.assert_allclose(drawn, np.stack([u[:, 0], np.sqrt(u[:, 1]), 1 - np.sqrt(1 - u[:, 2])], -1), rtol=1e-12)


def test_thompson_samples_have_the_posteriors_moments() -> None:
    noise = make_policy(1).noise((20_000,), generator(5))
    drawn = thompson_sample(np.array([20]), np.array([6]), noise["arm"])
    a, b = 7.0, 15.0  # even prior, 6 successes and 14 failures
    assert drawn.mean() == pytest.approx(a / (a + b), abs=3e-3)
    assert drawn.var() == pytest.approx(a * b / (a + b) ** 2 / (a + b + 1), rel=0.05)


def test_it_counts_what_each_arm_has_paid() -> None:
    policy = make_policy(3)
    batch = {
        "obs": torch.zeros(3, 2, dtype=torch.int64),
        "action": torch.tensor([[0, 2], [2, 2]]),
        "reward": torch.tensor([[1.0, 0.0], [1.0, 1.0]]),
        "valid": torch.tensor([[True, True], [True, False]]),
    }
    Bandit(policy).update(batch, Counters())
    assert policy.pulls.tolist() == [1, 0, 2]
    assert policy.successes.tolist() == [1, 0, 1]
    assert regret(policy, np.array([0.5, 0.2, 0.1])) == pytest.approx(2 * 0.4)
    batch["reward"][0, 0] = 0.5
    with pytest.raises(UserError, match=r"reward 0\.5: each arm of a bandit pays 0 or 1"):
        Bandit(policy).update(batch, Counters())


def test_each_strategy_chooses_as_it_says() -> None:
    pulls, successes = torch.tensor([40, 60, 0, 60]), torch.tensor([20, 45, 0, 45])
    policies = {strategy: make_policy(4, strategy=strategy, epsilon=0.2) for strategy in STRATEGIES}
    for policy in policies.values():
        policy.pulls += pulls
        policy.successes += successes
        assert chosen(policy, "greedy", 5).tolist() == [1] * 5
        np.testing.assert_allclose(shares(chosen(policy, "random", 20_000), 4), 0.25, atol=0.015)
    # Ties are broken evenly: 0.8 between two equal arms, and 0.2 / 4 more for each.
    epsilon_greedy = shares(chosen(policies["epsilon-greedy"], "explore", 20_000), 4)
    np.testing.assert_allclose(epsilon_greedy, [0.05, 0.45, 0.05, 0.45], atol=0.015)
    assert set(chosen(policies["ucb1"], "explore", 100)) == {2}  # never pulled
    rng = np.random.default_rng(1)
    drawn = rng.beta(1 + successes.numpy(), 1 + (pulls - successes).numpy(), (20_000, 4))
    thompson = shares(chosen(policies["thompson"], "explore", 20_000), 4)
    np.testing.assert_allclose(thompson, shares(drawn.argmax(-1), 4), atol=0.015)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_arm_that_is_not_allowed_is_not_pulled(strategy: Any) -> None:
    policy = make_policy(3, strategy=strategy, epsilon=0.5)
    policy.pulls += 10
    policy.successes += torch.tensor([1, 2, 9])
    mask = np.tile([True, True, False], (200, 1))
    for mode in ("explore", "greedy", "random"):
        assert 2 not in chosen(policy, mode, 200, action_mask=mask)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_learns_which_arm_is_best(strategy: Any) -> None:
    training = Training(strategy, EnvConfig(ENV.id, kwargs={"probabilities": [0.1, 0.3, 0.9, 0.2]}))
    training.run(600)
    assert training.policy.predict(0) == 2
    assert training.policy.pulls.sum() == 600
    assert training.policy.pulls.argmax() == 2
    assert training.policy.pulls[2] > 350


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_loaded_state_continues_to_the_bit(strategy: Any) -> None:
    first, second = Training(strategy, num_envs=3, horizon=2), Training(strategy, num_envs=3, horizon=2)
    first.run(20)
    second.run(5)  # a state that the loaded one must replace
    state = {"agent": first.agent.state_dict(), "rollouts": first.rollouts.state_dict()}
    second.agent.load_state_dict(state["agent"])
    second.rollouts.load_state_dict(state["rollouts"])
    second.now = first.now
    for training in (first, second):
        training.run(50)
    assert torch.equal(first.policy.pulls, second.policy.pulls)
    assert torch.equal(first.policy.successes, second.policy.successes)
    assert first.policy.pulls.sum() == 70 * 6
    assert second.rollouts.inexact == []


@pytest.mark.parametrize("backend", ["in-process", "subprocess"])
def test_counting_is_the_same_on_every_backend(backend: Any) -> None:
    counts = []
    for other in ("batched", backend):
        training = Training("thompson", EnvConfig(ENV.id, backend=other), num_envs=2)
        training.run(40)
        training.collector.close()
        counts.append(torch.stack((training.policy.pulls, training.policy.successes)))
    assert torch.equal(counts[0], counts[1])


def test_a_policy_can_be_built_from_what_it_saves() -> None:
    training = Training("ucb1")
    training.run(50)
    built = policy_of(training.agent.state_dict())
    assert built.config == BanditPolicyConfig("ucb1")
    assert torch.equal(built.pulls, training.policy.pulls)
    assert (chosen(built, "explore", 9) == chosen(training.policy, "explore", 9)).all()


def test_arms_pay_as_often_as_they_should_whatever_was_pulled() -> None:
    env = BernoulliBandit()
    paid = np.zeros(10)
    for seed in range(3_000):
        env.reset(seed=seed)
        paid += [env.step(arm)[1] for arm in range(10)]
    np.testing.assert_allclose(paid / 3_000, PROBABILITIES, atol=0.03)


def test_what_is_no_bandit_is_named() -> None:
    config, rng = BanditPolicyConfig(), generator(1)
    with pytest.raises(UserError, match=r"observation space .* sees nothing, which is Discrete\(1\)"):
        BanditPolicy(gym.spaces.Box(0, 1), gym.spaces.Discrete(2), config, rng)
    with pytest.raises(UserError, match=r"action space .* arms are a Discrete space"):
        BanditPolicy(gym.spaces.Discrete(1), gym.spaces.Box(0, 1), config, rng)
    with pytest.raises(UserError, match=r"epsilon = 1\.5: it takes a number from 0 to 1"):
        BanditPolicyConfig(epsilon=1.5)
    with pytest.raises(UserError, match=r"probabilities = \[0\.5, 2\]: it takes at least one number from 0 to 1"):
        make_vec(EnvConfig(ENV.id, kwargs={"probabilities": [0.5, 2]}), 1, seed=0)
