"""The arm: where its fingertip is, and what it is rewarded for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.single import make_env
from envs.tasks.reach import ReachEnv, fingertip
from training.errors import UserError


def test_the_arm_observes_where_it_is_and_is_rewarded_there() -> None:
    env = make_env(EnvConfig("envs.tasks:Reach-v0"))
    task: Any = env.unwrapped
    obs, _ = env.reset(seed=3)
    assert env.observation_space.contains(obs)
    for _ in range(20):
        obs, reward, terminated, _, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(obs)
        assert reward == task.compute_reward(obs["achieved_goal"], obs["desired_goal"], {}) == info["is_success"] - 1
        assert not terminated
    np.testing.assert_allclose(fingertip(np.array([0.0, 0.0, 0.0])), [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(fingertip(np.array([np.pi / 2, np.pi / 2, 0.0])), [0.0, 0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(fingertip(np.array([np.pi / 2, 0.0, np.pi / 2])), [0.0, 0.5, 0.5], atol=1e-12)


def test_goals_may_be_near_the_start() -> None:
    env, start = ReachEnv(goal_range=0.1), fingertip(np.array([0.0, 0.0, 0.05]))
    goals = [env.reset(seed=seed)[0]["desired_goal"] for seed in range(50)]
    assert 0.1 < max(np.linalg.norm(goal - start) for goal in goals) < 0.3
    with pytest.raises(UserError, match="goal_range = 0: it takes a number above 0, up to 1"):
        ReachEnv(goal_range=0)
