"""Gymnasium's NEXT_STEP vector envs behind the contract."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents.acting.collector import Group, LocalCollector
from agents.acting.rollouts import Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.updates.rollout_samples import to_samples
from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.next_step import NextStepVectorEnv
from envs.vectors.vector import EnvFault
from tests.support.vectors import sample_actions
from training.core import Counters
from training.errors import UserError
from training.seeding import generator

CARTPOLE = EnvConfig("CartPole-v1", backend="vector-entry-point")


def sync(name: str, count: int, **kwargs: Any) -> SyncVectorEnv:
    return SyncVectorEnv([lambda: gym.make(f"tests.support.toy_envs:{name}", **kwargs) for _ in range(count)])


def test_valid_rows_are_exactly_the_transitions_of_cartpole() -> None:
    vec, rng = make_vec(CARTPOLE, 6, seed=0), np.random.default_rng(0)
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


def test_rollouts_mark_exactly_the_reset_transitions_and_leave_them_out_of_what_is_learned() -> None:
    # Env 0 terminates after 2 steps and env 1 is truncated after 3; the time limit cuts env 2 there too.
    config = EnvConfig("tests.support.toy_envs:Counting-v0", {"length": 2}, backend="vector-entry-point", time_limit=3)
    collector = LocalCollector(lambda index: Group(make_vec(config, 3, seed=index), seed=1, index=index), groups=2)
    policy = ActorCritic(collector.observation_space, collector.action_space, ActorCriticConfig(), generator(1))
    rollouts, after, lengths = Rollouts(collector, policy, horizon=7), Counters(), np.tile([2, 3, 3], 2)
    for rollout in range(4):
        batch, after, _ = rollouts.next(after)
        episode_step = batch["obs"][..., 1].numpy()
        # After an end at step L comes a reset transition: a period of L + 1 rows.
        assert (episode_step == np.arange(7 * rollout, 7 * rollout + 8)[:, None] % (lengths + 1)).all()
        resets = episode_step[1:] == 0
        assert (~batch["valid"].numpy() == resets).all()
        ends = episode_step[1:] == lengths
        assert ((batch["terminated"] | batch["truncated"]).numpy() == ends).all()
        assert batch["final_obs"][:, 1].tolist() == lengths[batch["final_index"][:, 1]].tolist()
        assert (batch["reward"].numpy() == np.where(resets, 0, episode_step[1:])).all()
        assert len(to_samples(batch, {})["obs"]) == (~resets).sum()
    assert after.env_steps == sum(28 - 28 // (length + 1) for length in lengths)
    collector.close()


def test_an_environment_that_lacks_its_package_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(UserError, match=r"env\.id = 'phys2d/CartPole-v1': a package is missing"):
        make_vec(EnvConfig("phys2d/CartPole-v1", backend="vector-entry-point"), 2, seed=0)


def test_nested_spaces_and_masks_pass_through() -> None:
    vec, rng = NextStepVectorEnv(sync("Masked-v0", 3), seed=0), np.random.default_rng(0)
    step = vec.reset()
    for _ in range(20):
        assert step.action_mask is not None
        running = step.action_mask.sum(axis=1) == 3
        assert (np.argmin(step.action_mask, axis=1) == step.obs["obs"])[running].all()
        step = vec.step(sample_actions(vec, rng, step.action_mask))
        assert step.final_action_mask is not None
        assert np.argmin(step.final_action_mask, axis=1).tolist() == step.final_obs["obs"].tolist()
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


@pytest.mark.parametrize("nested", [False, True])
def test_masks_of_several_numbers_pass_through(nested: bool) -> None:
    vec, rng = NextStepVectorEnv(sync("MaskedPair-v0", 3, nested=nested), seed=0), np.random.default_rng(0)
    step, ended = vec.reset(), 0
    for _ in range(20):
        mask, final_mask = step.action_mask, step.final_action_mask
        assert mask is not None
        assert final_mask is not None
        for rows, obs in (
            (mask[mask.sum(axis=1) == 5], step.obs["obs"][mask.sum(axis=1) == 5]),
            (final_mask, step.final_obs["obs"]),
        ):
            assert np.argmin(rows[:, :3], axis=1).tolist() == obs[:, 0].tolist()
            assert np.argmin(rows[:, 3:], axis=1).tolist() == obs[:, 1].tolist()
        step = vec.step(sample_actions(vec, rng, mask))
        ended += len(final_mask)
    assert ended == 6


@pytest.mark.parametrize("at_end", ["no mask", "zeros"])
def test_an_end_without_a_mask_allows_everything(at_end: str) -> None:
    vec, rng = NextStepVectorEnv(sync("Masked-v0", 2, at_end=at_end), seed=0), np.random.default_rng(0)
    step = vec.reset()
    for _ in range(6):
        step = vec.step(sample_actions(vec, rng, step.action_mask))
    assert step.final_action_mask is not None
    assert step.final_action_mask.tolist() == [[True] * 4] * 2


def test_loading_starts_other_episodes_and_says_so() -> None:
    vec, resumed = make_vec(CARTPOLE, 2, seed=0), make_vec(CARTPOLE, 2, seed=0)
    first = vec.reset().obs["obs"].copy()
    resumed.load_state_dict(vec.state_dict())
    assert resumed.inexact == ["envs 0 to 1 (CartPole-v1): a NEXT_STEP vector env starts again"]
    assert (resumed.current().obs["obs"] != first).any()
    again = make_vec(CARTPOLE, 2, seed=0)
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


def test_a_vector_env_whose_spec_is_not_gymnasiums_is_named_by_its_class() -> None:
    env = sync("Faulty-v0", 1, how="reset")
    env.spec = object()  # type: ignore[assignment]
    with pytest.raises(EnvFault, match=r"^SyncVectorEnv, vector step 0: its reset raised RuntimeError"):
        NextStepVectorEnv(env, seed=0).reset()
