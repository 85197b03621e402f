"""Classic control in C++ against the same in NumPy, from random states with random actions."""

from __future__ import annotations

import numpy as np
import pytest

from envs.making import BATCHED
from envs.vectors.batched import OBSERVE, STEP

COMPILED = [name for name, dynamics in BATCHED.items() if dynamics.compiled() and name != "CartPole-v0"]
NUM_ENVS = 200


@pytest.mark.parametrize("env_id", COMPILED)
def test_every_step_is_the_same_to_the_bit(env_id: str) -> None:
    dynamics, rng = BATCHED[env_id], np.random.default_rng(1)
    functions = dynamics.compiled()
    assert functions is not None
    step, observe = STEP(functions[0]), OBSERVE(functions[1])
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
        step(NUM_ENVS, *(array.ctypes.data for array in (own, actions, own_reward, own_terminated)))
        observe(NUM_ENVS, NUM_ENVS, own.ctypes.data, obs.ctypes.data)
        np.testing.assert_array_equal(own, expected)
        np.testing.assert_array_equal(own_reward, reward)
        np.testing.assert_array_equal(own_terminated, terminated)
        np.testing.assert_array_equal(obs, dynamics.observe(expected))
        state = np.ascontiguousarray(expected)
        for n in np.flatnonzero(terminated | (rng.random(NUM_ENVS) < 0.02)):
            state[:, n] = dynamics.initial_state(rng)
