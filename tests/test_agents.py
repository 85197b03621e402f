"""The suites that every on-policy agent passes: identity, alignment by counting, truncation, exact continuation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from agents.a2c import A2C, A2CConfig
from agents.collector import Group, LocalCollector
from agents.evaluation import play
from agents.policy import ActorCritic, PolicyConfig
from agents.ppo import PPO, PPOConfig
from agents.reinforce import Reinforce, ReinforceConfig
from agents.rollouts import Rollouts, continues, discount, samples, values
from envs.config import EnvConfig
from envs.making import make_vec
from training.core import Algorithm, Budget, Counters
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.schedules import Schedule
from training.seeding import generator

LINEAR = Schedule("linear")
SMALL = PolicyConfig(network=NetworkConfig(hidden=(32,)))

PPO_SMALL = PPOConfig(
    horizon=32,
    minibatch_size=64,
    epochs=6,
    gamma=0.5,
    optimizer=OptimizerConfig(learning_rate=1e-2, schedule=LINEAR, max_grad_norm=0.5),
)
A2C_SMALL = A2CConfig(
    horizon=5,
    gamma=0.5,
    entropy_coefficient=0.0,
    optimizer=OptimizerConfig(kind="rmsprop", learning_rate=1e-2, schedule=LINEAR, eps=1e-5, max_grad_norm=0.5),
)
REINFORCE_SMALL = ReinforceConfig(
    horizon=20,
    gamma=0.5,
    policy_optimizer=OptimizerConfig(learning_rate=2e-2, schedule=LINEAR, max_grad_norm=0.5),
    baseline_optimizer=OptimizerConfig(learning_rate=1e-2),
)

MakeAgent = Callable[[ActorCritic, Budget], Algorithm]
AGENTS: dict[str, tuple[int, int, MakeAgent]] = {
    "ppo": (32, 8_192, lambda policy, until: PPO(policy, PPO_SMALL, until=until, seed=1)),
    "a2c": (5, 16_000, lambda policy, until: A2C(policy, A2C_SMALL, until=until)),
    "reinforce": (20, 20_000, lambda policy, until: Reinforce(policy, REINFORCE_SMALL, until=until)),
}


def make_collector(env: EnvConfig, num_envs: int, groups: int = 1) -> LocalCollector:
    size = num_envs // groups
    return LocalCollector(
        lambda index: Group(make_vec(env, size, seed=3, first_env=index * size), seed=1, index=index), groups
    )


class Training:
    """A run without folder: the same loop as `fit`, step by step."""

    def __init__(self, name: str, env: EnvConfig, policy: PolicyConfig = SMALL, num_envs: int = 8) -> None:
        horizon, env_steps, make_agent = AGENTS[name]
        self.until = Budget(env_steps)
        collector = make_collector(env, num_envs)
        self.policy = ActorCritic(collector.observation_space, collector.action_space, policy, generator(1, "weights"))
        self.agent = make_agent(self.policy, self.until)
        self.rollouts = Rollouts(collector, self.policy, horizon)
        self.now = Counters()

    def update(self) -> None:
        batch, after, _ = self.rollouts.next(self.now)
        self.agent.update(batch, self.now)
        self.now = after.advance(updates=1)

    def run(self) -> None:
        while not self.until.reached(self.now):
            self.update()


def test_every_on_policy_algorithm_is_in_these_suites() -> None:
    assert set(AGENTS) == {"ppo", "a2c", "reinforce"}


@pytest.mark.parametrize(
    ("name", "kind", "at_least"),
    [
        *[(name, "discrete", 9.5) for name in AGENTS],
        *[(name, "box", -0.5) for name in AGENTS],
        ("ppo", "multi_discrete", 9.5),
        ("ppo", "multi_binary", 9.5),
        ("ppo", "dict", 9.0),
    ],
)
def test_it_learns_to_repeat_what_it_sees(name: str, kind: str, at_least: float) -> None:
    env = EnvConfig("tests.learning_envs:Identity-v0", kwargs={"kind": kind})
    training = Training(name, env)
    training.run()
    returns, _ = play(make_vec(env, 10, seed=99), training.policy, 2, mode="greedy", rng=generator(0))
    assert returns.mean() >= at_least


@pytest.mark.parametrize("groups", [1, 2])
def test_every_row_of_a_rollout_is_where_it_belongs(groups: int) -> None:
    """The environment counts, so each observation, reward and end says by itself which step it is."""
    collector = make_collector(EnvConfig("tests.learning_envs:CountingEpisodes-v0"), 4, groups)
    policy = ActorCritic(collector.observation_space, collector.action_space, SMALL, generator(1))
    rollouts = Rollouts(collector, policy, horizon=7)
    t, episode = 0, 0
    for _ in range(5):
        batch, _, _ = rollouts.next(Counters())
        final = {
            (int(row[0]), int(row[1])): obs for row, obs in zip(batch["final_index"], batch["final_obs"], strict=True)
        }
        for row in range(7):
            assert batch["obs"][row].tolist() == [[t, episode]] * 4
            assert batch["is_first"][row].tolist() == [t == 0] * 4
            assert batch["reward"][row].tolist() == [t] * 4
            t += 1
            ends = t == 3 + episode % 3
            assert batch["terminated"][row].tolist() == [ends and episode % 2 == 0] * 4
            assert batch["truncated"][row].tolist() == [ends and episode % 2 == 1] * 4
            for n in range(4):
                assert ((row, n) in final) == ends
                assert not ends or final[row, n].tolist() == [t, episode]
            if ends:
                t, episode = 0, episode + 1
        assert batch["obs"][7].tolist() == [[t, episode]] * 4
        flat = samples(batch, reward=batch["reward"])
        assert torch.equal(flat["obs"][:, 0], flat["reward"])


@pytest.mark.parametrize("name", AGENTS)
def test_a_truncated_episode_is_worth_what_it_would_have_become(name: str) -> None:
    """Reward 1 for ever, cut after 100 steps: worth 100 at gamma 0.99; 37 to who takes the cut for an end."""
    from dataclasses import replace

    fast = OptimizerConfig(learning_rate=0.1, schedule=LINEAR)
    until = Budget(20_000)
    env = EnvConfig("tests.learning_envs:Endless-v0")
    collector = make_collector(env, 8)
    policy = ActorCritic(collector.observation_space, collector.action_space, SMALL, generator(1, "weights"))
    agents: dict[str, tuple[int, Callable[[], Algorithm]]] = {
        "ppo": (32, lambda: PPO(policy, replace(PPO_SMALL, gamma=0.99, optimizer=fast), until=until, seed=1)),
        "a2c": (16, lambda: A2C(policy, replace(A2C_SMALL, gamma=0.99, optimizer=fast), until=until)),
        "reinforce": (
            32,
            lambda: Reinforce(policy, replace(REINFORCE_SMALL, gamma=0.99, baseline_optimizer=fast), until=until),
        ),
    }
    horizon, make_agent = agents[name]
    agent = make_agent()
    rollouts, now = Rollouts(collector, policy, horizon), Counters()
    while not until.reached(now):
        batch, after, _ = rollouts.next(now)
        agent.update(batch, now)
        now = after.advance(updates=1)
    value = policy.value({"obs": torch.ones(1, 1)}).item()
    assert value == pytest.approx(100, rel=0.1)


def test_values_across_a_cut_come_from_the_final_observation() -> None:
    collector = make_collector(EnvConfig("tests.learning_envs:CountingEpisodes-v0"), 2)
    policy = ActorCritic(collector.observation_space, collector.action_space, SMALL, generator(1))
    batch, _, _ = Rollouts(collector, policy, 12).next(Counters())
    value, next_value = values(policy, batch)
    counted = batch["obs"][:-1].clone()
    counted[..., 0] += 1  # what follows each step if nothing resets
    torch.testing.assert_close(next_value, policy.value({"obs": counted}).detach())
    torch.testing.assert_close(value, policy.value({"obs": batch["obs"][:-1]}).detach())
    ended = batch["terminated"] | batch["truncated"]
    assert torch.equal(continues(batch), (~ended).float())
    assert torch.equal(discount(batch, 0.9), torch.where(batch["terminated"], 0.0, 0.9))


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_a_loaded_state_continues_to_the_bit(name: str, env_id: str) -> None:
    policy = PolicyConfig(network=NetworkConfig(hidden=(16,)), normalize_observation=True)
    first = Training(name, EnvConfig(env_id), policy, num_envs=4)
    for _ in range(3):
        first.update()
    saved = _copied({"agent": first.agent.state_dict(), "rollouts": first.rollouts.state_dict()})
    second = Training(name, EnvConfig(env_id), policy, num_envs=4)
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
        training = Training("ppo", EnvConfig("CartPole-v1", backend=other), num_envs=4)
        for _ in range(2):
            training.update()
        weights.append(torch.cat([parameter.flatten() for parameter in training.policy.parameters()]))
    assert torch.equal(weights[0], weights[1])


def test_an_action_mask_is_obeyed_and_learned_with() -> None:
    training = Training("ppo", EnvConfig("tests.toy_envs:Masked-v0"))
    batch, _, _ = training.rollouts.next(Counters())
    allowed = batch["action_mask"][:-1].gather(-1, batch["action"].unsqueeze(-1))
    assert allowed.all()
    training.agent.update(batch, Counters())


def test_a_policy_can_be_built_from_what_it_saves() -> None:
    import gymnasium as gym

    from agents.policy import build_policy

    training = Training("ppo", EnvConfig("Pendulum-v1"), PolicyConfig(normalize_observation=True))
    training.update()
    built = build_policy(_copied(training.policy.save()))
    env = gym.make("Pendulum-v1")
    obs, _ = env.reset(seed=5)
    action = built.predict(obs)
    assert env.action_space.contains(action)
    np.testing.assert_array_equal(action, training.policy.predict(obs))
    built.observe({"obs": torch.full((1, 3), 100.0)})
    assert not np.array_equal(built.predict(obs), action), "the normalization is inside"


def _copied(state: Any) -> Any:
    """As a checkpoint would: nothing of it is shared with the living object."""
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_copied(value) for value in state]
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    return state.copy() if isinstance(state, np.ndarray) else state
