"""Gymnasium-Robotics runs beside MuJoCo 4, and its episodes are those of their seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from agents.replay.replay import goal_reward
from envs.config import EnvConfig
from envs.making import make_vec
from envs.robotics import make_robotics_run
from envs.single import make_env
from tests.support.packages import needs
from tests.support.vectors import assert_same, play

pytestmark = needs("gymnasium_robotics", "robotics")


def test_joints_are_told_apart_by_plain_integers() -> None:
    config = EnvConfig("FetchReach-v4")  # which imports the package
    from gymnasium_robotics.utils import mujoco_utils

    given = mujoco_utils.mujoco
    make_robotics_run()
    assert mujoco_utils.mujoco is given, "it is done once"
    assert np.int32(3) in (given.mjtJoint.mjJNT_SLIDE, given.mjtJoint.mjJNT_HINGE)
    assert given.mjtObj.mjOBJ_JOINT == mujoco_utils.mjtObj.mjOBJ_JOINT, "all else is MuJoCo's"
    assert config.longest_episode_steps == 50


def test_fetch_has_goals_and_is_restored_in_mid_episode() -> None:
    config = EnvConfig("FetchReach-v4", time_limit=12)
    compute = goal_reward(make_env(config))
    vec, rng = make_vec(config, 2, seed=3), np.random.default_rng(0)
    play(vec, 17, rng)
    step = vec.current()
    reward = compute(step.obs["obs/achieved_goal"], step.obs["obs/desired_goal"], {})
    assert set(np.asarray(reward).tolist()) <= {-1.0, 0.0}
    other = make_vec(replace(config), 2, seed=3)
    other.load_state_dict(vec.state_dict())
    assert other.inexact == []
    assert_same(*(play(one, 15, np.random.default_rng(5), one.current()) for one in (vec, other)))
