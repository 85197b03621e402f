"""Environments whose copies are one computation: their episodes, time limit and saved state, and who steps them."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np

from envs.config import EnvConfig
from envs.making import BATCHED, make_vec
from envs.vectors.batched import BatchedVectorEnv, Dynamics
from tests.support import ROOT

PENDULUM = EnvConfig("Pendulum-v1")


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


COUNTER = Dynamics(
    observation_space=gym.spaces.Box(0, np.inf, (1,)),
    action_space=gym.spaces.Discrete(5),
    initial_state=lambda generator: np.array([float(generator.integers(100))]),
    transition=lambda state, action: (state + action, state[0], state[0] + action >= 110),
    observe=lambda state: state.T.astype(np.float32),
)


def test_an_end_gives_the_last_observation_and_begins_the_next_episode() -> None:
    vec = BatchedVectorEnv(COUNTER, 4, time_limit=6, seed=1, first_env=0)
    obs, ends = vec.reset().obs["obs"], 0
    for t in range(60):
        action = np.array([t % 5, 0, 4, 1])
        step = vec.step({"action": action})
        after, ended = obs[:, 0] + action, step.terminated | step.truncated
        assert (step.reward == obs[:, 0]).all()
        assert (step.terminated == (after >= 110)).all()
        assert (step.final_obs["obs"][:, 0] == after[ended]).all()
        assert (step.obs["obs"][~ended, 0] == after[~ended]).all()
        assert (step.obs["obs"][ended] < 100).all()
        assert (vec.episode_steps[ended] == 0).all()
        obs, ends = step.obs["obs"], ends + int(ended.sum())
    assert ends >= 40


def test_a_saved_state_goes_on_elsewhere() -> None:
    vec, other = (BatchedVectorEnv(COUNTER, 3, time_limit=4, seed=seed, first_env=0) for seed in (1, 1))
    vec.reset()
    action = {"action": np.array([0, 1, 2])}
    for _ in range(5):
        vec.step(action)
    other.load_state_dict(vec.state_dict())
    for _ in range(9):
        np.testing.assert_array_equal(vec.step(action).obs["obs"], other.step(action).obs["obs"])


def test_every_batched_environment_is_compared_with_gymnasiums_own() -> None:
    tests = "".join(file.read_text() for file in (ROOT / "tests" / "envs" / "tasks").glob("test_*.py"))
    assert all(f'"{name}"' in tests for name in BATCHED)
