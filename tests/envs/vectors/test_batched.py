"""The batched environments against Gymnasium's own: the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import BATCHED, make_vec
from envs.vectors.vector import episode_seed

PENDULUM = EnvConfig("Pendulum-v1")


def balance(obs: np.ndarray) -> np.ndarray:
    """Holds the pole up to the time limit."""
    return (obs[:, 2] + 0.5 * obs[:, 3] + 0.05 * obs[:, 0] + 0.1 * obs[:, 1] > 0).astype(np.int64)


def swing_acrobot(obs: np.ndarray) -> np.ndarray:
    """Pumps energy into the second joint: the tip crosses the line, and both speeds reach their limits."""
    return np.where(obs[:, 5] > 0, 2, 0)


def push_along(obs: np.ndarray) -> np.ndarray:
    """Pushes a mountain car the way that it moves: it reaches the goal, and the wall on the left before."""
    return np.where(obs[:, 1] >= 0, 2, 0)


def full_force_along(obs: np.ndarray) -> np.ndarray:
    return push_along(obs).astype(np.float32)[:, None] - 1


def spin_pendulum(obs: np.ndarray) -> np.ndarray:
    """Full torque the way that it moves: it turns over and over at its limit of speed."""
    return np.where(obs[:, 2:] >= 0, np.float32(2), np.float32(-2))


def pull_the_first_arm(obs: np.ndarray) -> np.ndarray:
    return np.zeros_like(obs)


POLICIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Acrobot-v1": swing_acrobot,
    "BernoulliBandit-v0": pull_the_first_arm,
    "CartPole-v0": balance,
    "CartPole-v1": balance,
    "MountainCar-v0": push_along,
    "MountainCarContinuous-v0": full_force_along,
    "Pendulum-v1": spin_pendulum,
}


def act(name: str, obs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A third of the environments acts at random, a third with purpose, a third mixes both.

    Random forces are zero, tiny, within the space, at its bounds, or up to three times outside.
    """
    purposeful = POLICIES[name](obs)
    space = BATCHED[name].action_space
    if isinstance(space, gym.spaces.Box):
        random = np.clip(rng.uniform(-1.5, 1.5, purposeful.shape), -1, 1) * rng.choice([0, 0.001, 1, 3], (len(obs), 1))
        random = (random * space.high).astype(np.float32)
    else:
        assert isinstance(space, gym.spaces.Discrete)
        random = rng.integers(0, space.n, len(obs))
    randomness = np.array([0.0, 0.3, 1.0])[np.arange(len(obs)) % 3]
    chosen = rng.random(len(obs)) < randomness
    return np.where(chosen.reshape(-1, *[1] * (random.ndim - 1)), random, purposeful)


def compare(config: EnvConfig, num_envs: int, env_steps: int, *, seed: int) -> tuple[int, int]:
    """Steps the batched environment beside Gymnasium's own; returns how many episodes terminated and were truncated."""
    vec = make_vec(replace(config, backend="batched"), num_envs, seed=seed, first_env=2)
    spec = gym.registry[config.id]
    envs = [gym.make(spec, max_episode_steps=config.time_limit, disable_env_checker=True) for _ in range(num_envs)]
    episodes = [0] * num_envs

    def reset(row: int) -> np.ndarray:
        return envs[row].reset(seed=episode_seed(seed, 2 + row, episodes[row]))[0]

    expected, rng = np.stack([reset(row) for row in range(num_envs)]), np.random.default_rng(seed)
    step, terminations, truncations = vec.reset(), 0, 0
    for _ in range(env_steps):
        assert step.obs["obs"].dtype == expected.dtype
        assert step.obs["obs"].tobytes() == expected.tobytes()
        action = act(config.id, expected, rng)
        step = vec.step({"action": action})
        returned, final = [], []
        for row, env in enumerate(envs):
            expected[row], *result, _ = env.step(action[row])
            returned.append(result)
            if any(result[1:]):
                final.append(expected[row].copy())
                episodes[row] += 1
                expected[row] = reset(row)
        reward, terminated, truncated = np.array(returned, np.float64).T
        assert step.reward.tobytes() == reward.tobytes()
        assert (step.terminated == terminated).all()
        assert (step.truncated == truncated).all()
        assert step.final_obs["obs"].tobytes() == np.array(final, expected.dtype).tobytes()
        terminations, truncations = terminations + int(terminated.sum()), truncations + int(truncated.sum())
    return terminations, truncations


@pytest.mark.parametrize("name", BATCHED)
def test_batched_environments_have_the_bits_of_gymnasiums_own(name: str) -> None:
    terminations, truncations = compare(EnvConfig(name), 9, 1100, seed=9)
    assert terminations >= 9 or name == "Pendulum-v1"
    assert truncations >= 3
    # Every step begins an episode: what differs in the first ones only, in one of thousands.
    compare(EnvConfig(name, time_limit=1), 64, 60, seed=10)


@pytest.mark.full
@pytest.mark.parametrize("name", BATCHED)
def test_batched_environments_have_the_bits_of_gymnasiums_own_over_thousands_of_episodes(name: str) -> None:
    compare(EnvConfig(name, time_limit=2), 30, 2_000, seed=1)
    compare(EnvConfig(name), 30, 10_000, seed=2)


@pytest.mark.parametrize("name", BATCHED)
def test_their_spaces_are_gymnasiums(name: str) -> None:
    vec, env = make_vec(EnvConfig(name), 1, seed=0), gym.make(name)
    assert (vec.observation_space, vec.action_space) == (env.observation_space, env.action_space)


def test_auto_steps_sub_environments_where_the_batched_one_cannot_do_what_is_asked() -> None:
    plain = make_vec(PENDULUM, 2, seed=0)
    same = make_vec(replace(PENDULUM, backend="in-process"), 2, seed=0)
    assert type(plain) is not type(same)
    for config in (
        replace(PENDULUM, kwargs={"g": 9.8}),
        replace(PENDULUM, frame_stack=2),
        replace(PENDULUM, fresh_instance=True),
    ):
        assert type(make_vec(config, 2, seed=0)) is type(same)
