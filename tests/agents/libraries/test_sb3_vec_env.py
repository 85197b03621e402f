"""Our vector environments as Stable-Baselines3 sees them."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from agents.libraries.sb3_vec_env import SB3VecEnv
from envs.config import EnvConfig
from envs.making import make_vec
from training.errors import UserError


def test_it_steps_the_environments_that_our_own_algorithms_act_in() -> None:
    theirs, ours = (make_vec(EnvConfig("CartPole-v1", time_limit=3), 2, seed=1) for _ in range(2))
    envs = SB3VecEnv(theirs, theirs.observation_space, theirs.action_space)
    np.testing.assert_array_equal(envs.reset(), ours.reset().obs["obs"])
    for t in range(1, 4):
        obs, _, done, infos = envs.step(np.array([0, 1]))
        step = ours.step({"action": np.array([0, 1])})
        np.testing.assert_array_equal(obs, step.obs["obs"])
        assert (done == (t == 3)).all()
    assert infos[0]["TimeLimit.truncated"]
    np.testing.assert_array_equal(infos[1]["terminal_observation"], step.final_obs["obs"][1])
    assert envs.take_ended() == [(3.0, 3, None), (3.0, 3, None)]
    assert envs.take_ended() == []
    np.testing.assert_array_equal(envs.counts()["length"], [0, 0])


def test_observations_inside_one_another_are_refused() -> None:
    vec = make_vec(EnvConfig("tests.support.toy_envs:Nested-v0"), 1, seed=0)
    with pytest.raises(UserError, match="env: Stable-Baselines3 takes observations that are an array or a flat Dict"):
        SB3VecEnv(vec, vec.observation_space, vec.action_space)


def test_whole_numbers_in_a_box_are_refused() -> None:
    with pytest.raises(UserError, match=r"its actions are Box\(0, 9, .* Stable-Baselines3 gives a Box floats"):
        SB3VecEnv(None, spaces.Discrete(2), spaces.Box(0, 9, (2,), np.int64))
