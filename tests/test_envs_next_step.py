"""Gymnasium's NEXT_STEP vector envs behind the contract."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envs.next_step import NextStepVectorEnv
from envs.vector import EnvFault
from training.core import UserError


def sync(name: str, count: int, **kwargs: Any) -> SyncVectorEnv:
    return SyncVectorEnv([lambda: gym.make(f"tests.toy_envs:{name}", **kwargs) for _ in range(count)])


def test_valid_rows_are_exactly_the_transitions_of_cartpole() -> None:
    native = gym.make_vec("CartPole-v1", num_envs=6, vectorization_mode="vector_entry_point")
    vec, rng = NextStepVectorEnv(native, seed=0), np.random.default_rng(0)
    step, invalid, ended_before = vec.reset(), 0, np.zeros(6, np.bool_)
    for _ in range(400):
        before = step.obs["obs"].copy()
        step = vec.step({"action": rng.integers(0, 2, 6)})
        assert step.valid is not None
        assert step.valid.tolist() == (~ended_before).tolist()
        # A transition moves the cart by 0.02 s times its speed; a reset puts it near the middle.
        euler = np.abs(step.obs["obs"][:, 0] - before[:, 0] - 0.02 * before[:, 1]) < 1e-6
        assert (euler == step.valid).all()
        assert (vec.episode_steps == 0).tolist() == ended_before.tolist()
        assert (np.abs(step.obs["obs"][ended_before]) <= 0.05).all()
        ended_before = step.terminated | step.truncated
        np.testing.assert_array_equal(step.final_obs["obs"], step.obs["obs"][ended_before])
        assert (step.reward == step.valid).all()
        invalid += (~step.valid).sum()
    assert invalid > 50


def test_valid_transitions_count_the_steps_of_each_episode_up_to_its_final_observation() -> None:
    vec = NextStepVectorEnv(sync("Counting-v0", 2, length=3, truncates=True), seed=0)
    vec.reset()
    seen = [vec.step({"action": np.zeros(2, np.int64)}) for _ in range(8)]
    assert [step.valid[0] for step in seen] == [True, True, True, False, True, True, True, False]
    assert [step.reward[0] for step in seen] == [1, 2, 3, 0, 1, 2, 3, 0]
    assert [step.truncated[0] for step in seen] == [False, False, True, False] * 2
    assert [step.final_obs["obs"][:, 1].tolist() for step in seen] == [[], [], [3, 3], []] * 2


def test_nested_spaces_and_masks_pass_through() -> None:
    vec, rng = NextStepVectorEnv(sync("Masked-v0", 3), seed=0), np.random.default_rng(0)
    step = vec.reset()
    for _ in range(20):
        assert step.action_mask is not None
        running = step.action_mask.sum(axis=1) == 3
        assert (np.argmin(step.action_mask, axis=1) == step.obs["obs"])[running].all()
        step = vec.step({"action": np.array([rng.choice(np.flatnonzero(row)) for row in step.action_mask])})
    nested = NextStepVectorEnv(sync("Nested-v0", 2), seed=0)
    step = nested.reset()
    action = {
        "action/arm": np.ones((2, 2), np.float32),
        "action/grip": np.array([0, 2]),
        "action/keys": np.ones((2, 4), np.int8),
        "action/pair/0": np.array([[0, 1], [1, 2]]),
        "action/pair/1/deep": np.array([1, 0]),
    }
    step = nested.step(action)
    for key, value in action.items():
        np.testing.assert_array_equal(step.obs[key.replace("action", "obs")], value)


def test_loading_starts_other_episodes_and_says_so() -> None:
    def make() -> NextStepVectorEnv:
        native = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point")
        return NextStepVectorEnv(native, seed=0)

    vec, resumed = make(), make()
    first = vec.reset().obs["obs"].copy()
    resumed.load_state_dict(vec.state_dict())
    assert resumed.inexact == ["envs 0 to 1 (CartPole-v1): a NEXT_STEP vector env starts again"]
    assert (resumed.current().obs["obs"] != first).any()
    again = make()
    again.load_state_dict(vec.state_dict())
    np.testing.assert_array_equal(again.current().obs["obs"], resumed.current().obs["obs"])


def test_another_autoreset_is_refused() -> None:
    same_step = SyncVectorEnv([lambda: gym.make("CartPole-v1")], autoreset_mode=AutoresetMode.SAME_STEP)
    with pytest.raises(UserError, match=r"takes AutoresetMode\.NEXT_STEP"):
        NextStepVectorEnv(same_step, seed=0)


def test_faults_are_named() -> None:
    for how, what in (("raises", "it raised KeyError"), ("nan", r"'a' holds nan at \[1, 1\]"), ("reward", "of env 1")):
        vec = NextStepVectorEnv(sync("Faulty-v0", 2, how=how, disable_env_checker=True), seed=0)
        vec.reset()
        vec.step({"action": np.array([0, 0])})
        with pytest.raises(EnvFault, match=rf"vector step 2: .*{what}"):
            vec.step({"action": np.array([0, 1])})
