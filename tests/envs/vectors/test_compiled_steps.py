"""The steps in C++ against those in NumPy, from random states with random actions."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import BATCHED, make_vec
from envs.vectors.batched import BatchedVectorEnv
from envs.vectors.compiled_steps import AHEAD, SOURCE, CompiledSteps
from training import native

COMPILED = [name for name, dynamics in BATCHED.items() if dynamics.compiled and name != "CartPole-v0"]
NUM_ENVS = 200


@pytest.mark.parametrize("env_id", COMPILED)
def test_every_step_is_the_same_to_the_bit(env_id: str) -> None:
    dynamics, rng = BATCHED[env_id], np.random.default_rng(1)
    library = native.load(SOURCE, exact=True)
    step, observe = (getattr(library, f"{dynamics.compiled}_{name}") for name in ("step", "observe"))
    state = np.array([dynamics.initial_state(rng) for _ in range(NUM_ENVS)]).T.copy()
    shape = dynamics.observation_space.shape
    assert shape is not None
    actions = np.array([dynamics.action_space.sample() for _ in range(NUM_ENVS)])
    for _ in range(300):
        actions = rng.permutation(actions)
        expected, reward, terminated = dynamics.transition(state, actions)
        own = state.copy()
        own_reward, own_terminated = np.empty(NUM_ENVS), np.empty(NUM_ENVS, bool)
        obs = np.empty((NUM_ENVS, *shape), np.float32)
        step(ctypes.c_int64(NUM_ENVS), *map(at, (own, actions, own_reward, own_terminated)))
        observe(ctypes.c_int64(NUM_ENVS), ctypes.c_int64(NUM_ENVS), at(own), at(obs))
        np.testing.assert_array_equal(own, expected)
        np.testing.assert_array_equal(own_reward, reward)
        np.testing.assert_array_equal(own_terminated, terminated)
        np.testing.assert_array_equal(obs, dynamics.observe(expected))
        state = np.ascontiguousarray(expected)
        for n in np.flatnonzero(terminated | (rng.random(NUM_ENVS) < 0.02)):
            state[:, n] = dynamics.initial_state(rng)


def at(array: np.ndarray) -> ctypes.c_void_p:  # type: ignore[type-arg]
    return ctypes.c_void_p(array.ctypes.data)


@pytest.mark.parametrize("env_id", COMPILED)
def test_the_episodes_ahead_are_those_that_the_environments_draw_themselves(env_id: str) -> None:
    vec = make_vec(EnvConfig(env_id), 3, seed=5)
    assert isinstance(vec, BatchedVectorEnv)
    vec.reset()
    steps = CompiledSteps(vec)
    _, episode, _ = vec.arrays()
    for at_episode in ([0, 0, 0], [1, 0, AHEAD], [9, 30, 50], [9, 30, 45], [0, 0, 0]):  # also back again
        episode[:] = at_episode
        steps.draw_ahead()
        struct = steps.environments()
        first = np.ctypeslib.as_array(
            (ctypes.c_double * (3 * AHEAD * struct.state_size)).from_address(struct.first_state)
        )
        obs = np.ctypeslib.as_array((ctypes.c_float * (3 * AHEAD * struct.obs_size)).from_address(struct.first_obs))
        first, obs = first.reshape(3, AHEAD, -1), obs.reshape(3, AHEAD, -1)
        for later in range(1, AHEAD + 1):
            states = vec.initial_states(episode + later, np.arange(3))
            places = (episode + later) % AHEAD
            np.testing.assert_array_equal(first[np.arange(3), places], states.T)
            np.testing.assert_array_equal(obs[np.arange(3), places], vec.dynamics.observe(states))
