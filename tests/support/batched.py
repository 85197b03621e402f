"""Steps batched environments beside Gymnasium's own: they must give the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import gymnasium as gym
import numpy as np

from envs.config import EnvConfig
from envs.making import BATCHED, make_vec
from envs.vectors.vector import episode_seed

Policy = Callable[[np.ndarray], np.ndarray]


def act(name: str, policy: Policy, obs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A third of the environments acts at random, a third with purpose, a third mixes both.

    Random forces are zero, tiny, within the space, at its bounds, or up to three times outside.
    """
    purposeful = policy(obs)
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


def compare(config: EnvConfig, policy: Policy, num_envs: int, env_steps: int, *, seed: int) -> tuple[int, int]:
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
        action = act(config.id, policy, expected, rng)
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


def require_the_same_bits(name: str, policy: Policy) -> tuple[int, int]:
    """How many episodes terminated and were truncated; nearly all kinds of steps are among them."""
    env = gym.make(name)
    vec = make_vec(EnvConfig(name), 1, seed=0)
    assert (vec.observation_space, vec.action_space) == (env.observation_space, env.action_space)
    ends = compare(EnvConfig(name), policy, 9, 1100, seed=9)
    # Every step begins an episode: what differs in the first ones only, in one of thousands.
    compare(EnvConfig(name, time_limit=1), policy, 64, 60, seed=10)
    return ends


def require_the_same_bits_over_thousands_of_episodes(name: str, policy: Policy) -> None:
    compare(EnvConfig(name, time_limit=2), policy, 30, 2_000, seed=1)
    compare(EnvConfig(name), policy, 30, 10_000, seed=2)
