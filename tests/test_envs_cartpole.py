"""The batched CartPole against Gymnasium's own."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.vector import episode_seed

CARTPOLE = EnvConfig("CartPole-v1")
NUM_ENVS = 16


def balance(obs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Good enough that half of the environments live up to the time limit; the other half acts at random."""
    good = (obs[:, 2] + 0.5 * obs[:, 3] + 0.05 * obs[:, 0] + 0.1 * obs[:, 1] > 0).astype(np.int64)
    random = rng.integers(0, 2, len(obs))
    return np.where(np.arange(len(obs)) % 2, good, random)


@pytest.mark.parametrize(("name", "limit"), [("CartPole-v1", None), ("CartPole-v0", None), ("CartPole-v1", 37)])
def test_batched_cartpole_has_the_bits_of_gymnasiums_own(name: str, limit: int | None) -> None:
    vec = make_vec(EnvConfig(name, backend="batched", time_limit=limit), NUM_ENVS, seed=9, first_env=2)
    envs = [gym.make(gym.registry[name], max_episode_steps=limit, disable_env_checker=True) for _ in range(NUM_ENVS)]
    episodes = [0] * NUM_ENVS

    def reset(row: int) -> np.ndarray:
        return envs[row].reset(seed=episode_seed(9, 2 + row, episodes[row]))[0]

    expected, rng = np.stack([reset(row) for row in range(NUM_ENVS)]), np.random.default_rng(0)
    step, truncations, terminations = vec.reset(), 0, 0
    for _ in range(1100):
        assert step.obs["obs"].dtype == expected.dtype == np.float32
        assert step.obs["obs"].tobytes() == expected.tobytes()
        action = balance(expected, rng)
        step, final = vec.step({"action": action}), []
        for row, env in enumerate(envs):
            expected[row], reward, terminated, truncated, _ = env.step(action[row])
            assert (step.reward[row], step.terminated[row], step.truncated[row]) == (reward, terminated, truncated)
            if terminated or truncated:
                final.append(expected[row].copy())
                episodes[row] += 1
                expected[row] = reset(row)
        assert step.final_obs["obs"].tobytes() == np.array(final, np.float32).tobytes()
        truncations, terminations = truncations + step.truncated.sum(), terminations + step.terminated.sum()
    assert truncations >= 8
    assert terminations >= 8


def test_its_spaces_are_gymnasiums() -> None:
    vec, env = make_vec(CARTPOLE, 1, seed=0), gym.make("CartPole-v1")
    assert (vec.observation_space, vec.action_space) == (env.observation_space, env.action_space)


def test_auto_steps_sub_environments_where_the_batched_one_cannot_do_what_is_asked() -> None:
    plain = make_vec(CARTPOLE, 2, seed=0)
    same = make_vec(replace(CARTPOLE, backend="in-process"), 2, seed=0)
    assert type(plain) is not type(same)
    for config in (
        replace(CARTPOLE, kwargs={"sutton_barto_reward": True}),
        replace(CARTPOLE, frame_stack=2),
        replace(CARTPOLE, fresh_instance=True),
    ):
        assert type(make_vec(config, 2, seed=0)) is type(same)
