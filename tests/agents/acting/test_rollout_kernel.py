"""Compiled rollouts against those that a group makes step by step."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

from agents.acting.collector import Episode, Group, make_group
from agents.acting.rollout_kernel import takes
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.compiled_steps import AHEAD
from envs.vectors.vector import EnvFault
from training.core import Batch
from training.networks import NetworkConfig
from training.seeding import generator

ENVS = [
    *("CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1"),
    *("tests.envs.test_jitted:Drift", "tests.envs.test_jitted:Pushed", "tests.envs.test_jitted:Heated"),
]
NUM_ENVS = 7


def policy_for(env: EnvConfig, *, compiled: bool = True, **config: Any) -> ActorCritic:
    vec = make_vec(env, 1, seed=0)
    policy = ActorCritic(vec.observation_space, vec.action_space, ActorCriticConfig(**config), generator(2, "weights"))
    with torch.no_grad():  # far from uniform, and with statistics of what it sees
        policy.actor[-1].weight.mul_(100)  # type: ignore[union-attr, operator]
        for normalizer in policy.normalizers.values():
            normalizer.update(torch.randn(100, normalizer.mean.numel()) * 2 + 0.3)  # type: ignore[operator, union-attr]
    policy.has_kernels = compiled
    return policy


def collected(group: Group, policy: ActorCritic, horizon: int) -> tuple[Batch, list[Episode]]:
    steps = group.collect(policy, horizon, "explore")
    while True:
        try:
            next(steps)
        except StopIteration as end:
            batch: tuple[Batch, list[Episode]] = end.value
            return batch


def replayed(env: EnvConfig, policy: ActorCritic, batch: Batch) -> tuple[Batch, list[Episode]]:
    """What the environments in NumPy do with the actions of a rollout from their beginning on."""
    group = make_group(env, NUM_ENVS, seed=4, index=0)

    class Repeats:
        has_kernels = False

        def acting(self, *_: Any) -> Any:
            rows = iter(batch["action"].numpy())
            return lambda step, state, noise: ({"action": next(rows)}, state)

        def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> dict[str, np.ndarray[Any, Any]]:
            return policy.noise(leading, rng)

        def env_action(self, action: Any) -> Any:
            return policy.env_action(action)

    return collected(group, Repeats(), len(batch["reward"]))  # type: ignore[arg-type]


@pytest.mark.parametrize("env_id", ENVS)
def test_the_environments_do_what_they_do_in_numpy_to_the_bit(env_id: str) -> None:
    """Episodes, ends, first and last observations, over more episodes than are drawn ahead."""
    env = EnvConfig(env_id, time_limit=13)
    policy = policy_for(env)
    horizon = 13 * (AHEAD + 3)
    batch, ended = collected(make_group(env, NUM_ENVS, seed=4, index=0), policy, horizon)
    expected, episodes = replayed(env, policy, batch)
    assert len(ended) > NUM_ENVS * AHEAD
    assert ended == episodes
    assert batch.keys() == expected.keys()
    for key, value in batch.items():
        assert value.dtype == expected[key].dtype, key
        assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("env_id", ENVS)
@pytest.mark.parametrize("config", [{}, {"normalize_observation": True}, {"network": NetworkConfig((20,), "relu")}])
def test_the_policy_does_what_it_does_in_numpy(env_id: str, config: dict[str, Any]) -> None:
    env = EnvConfig(env_id, time_limit=20)
    policy = policy_for(env, **config)
    group = make_group(env, NUM_ENVS, seed=4, index=0)
    assert takes(policy, group.vec)
    noise = policy.noise((30, NUM_ENVS), generator(4, "acting", 0))["action"]
    batch, _ = collected(group, policy, 30)
    act = policy.acting("explore", NUM_ENVS)
    expected = [act({"obs": batch["obs"][t].numpy()}, {}, {"action": noise[t]})[0]["action"] for t in range(30)]
    if batch["action"].dtype == torch.int64:  # but for choices between equals
        assert (batch["action"].numpy() == np.array(expected)).mean() > 0.995
    else:
        np.testing.assert_allclose(batch["action"].numpy(), np.array(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("env_id", ENVS)
def test_a_saved_group_goes_on_to_the_bit_and_a_rollout_may_be_cut_anywhere(env_id: str) -> None:
    env = EnvConfig(env_id, time_limit=11)
    policy = policy_for(env)
    whole, cut = make_group(env, NUM_ENVS, seed=4, index=0), make_group(env, NUM_ENVS, seed=4, index=0)
    collected(whole, policy, 60)
    saved = deepcopy(whole.state_dict())
    rest, ended = collected(whole, policy, 40)
    cut.load_state_dict(deepcopy(saved))
    again, episodes = collected(cut, policy, 40)
    assert ended == episodes
    assert all(torch.equal(value, again[key]) for key, value in rest.items())
    # Going back to where it was, with later episodes drawn ahead.
    collected(cut, policy, 200)
    cut.load_state_dict(deepcopy(saved))
    again, _ = collected(cut, policy, 40)
    assert all(torch.equal(value, again[key]) for key, value in rest.items())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Numba tells it
def test_a_step_that_raises_is_a_fault_of_the_environment() -> None:
    env = EnvConfig("tests.envs.test_jitted:Fragile")
    policy = policy_for(env)
    with pytest.raises(EnvFault, match="not finite"):
        collected(make_group(env, NUM_ENVS, seed=4, index=0), policy, 200)


def test_an_action_that_is_not_a_number_is_the_error_of_the_environments() -> None:
    env = EnvConfig("Pendulum-v1")
    policy = policy_for(env)
    with torch.no_grad():
        policy.actor[0].weight[0, 0] = float("nan")  # type: ignore[union-attr, operator, index]
    said = []
    for compiled in (True, False):
        policy.has_kernels = compiled
        with pytest.raises(ValueError, match="action") as raised:
            collected(make_group(env, NUM_ENVS, seed=4, index=0), policy, 5)
        said.append(str(raised.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("env", "config"),
    [
        (EnvConfig("CartPole-v1", observation_indices=(0, 2)), {}),
        (EnvConfig("CartPole-v1", backend="in-process"), {}),
        (EnvConfig("CartPole-v1"), {"network": NetworkConfig(layer_norm=True)}),
        (EnvConfig("Pendulum-v1"), {"squash": True}),
        (EnvConfig("BernoulliBandit-v0"), {}),
    ],
)
def test_all_else_is_stepped_as_before(env: EnvConfig, config: dict[str, Any]) -> None:
    assert not takes(policy_for(env, **config), make_vec(env, 2, seed=1))


def test_a_policy_acts_in_numpy_unless_it_is_asked_otherwise() -> None:
    env = EnvConfig("CartPole-v1")
    assert not takes(policy_for(env, compiled=False), make_vec(env, 2, seed=1))
