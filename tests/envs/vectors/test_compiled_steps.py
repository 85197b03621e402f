"""The first states of the next episodes, drawn ahead for a loop in C++."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import BATCHED, make_vec
from envs.vectors.batched import BatchedVectorEnv
from envs.vectors.compiled_steps import AHEAD, CompiledSteps

COMPILED = [name for name, dynamics in BATCHED.items() if dynamics.compiled() and name != "CartPole-v0"]


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
