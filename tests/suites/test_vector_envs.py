"""The contract of vector environments, which every backend passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.config import EnvConfig
from envs.making import BATCHED, make_vec
from envs.vectors.vector import Arrays, VectorEnv, episode_seed
from tests.support.vectors import TOY, assert_same, assert_same_state, kept, play, sample_actions
from training.errors import UserError

DRIFTING = "tests.support.toy_wrappers:Drifting(by=0.5, forgets=True)"
CASES = [
    EnvConfig("CartPole-v1"),
    EnvConfig("Pendulum-v1", time_limit=30),
    EnvConfig("Acrobot-v1", time_limit=40),
    EnvConfig(TOY + "Nested-v0"),
    EnvConfig(TOY + "Masked-v0"),
    EnvConfig(TOY + "MaskedPair-v0"),
    EnvConfig(TOY + "MaskedPair-v0", kwargs={"nested": True}),
    EnvConfig(TOY + "RandomWalk-v0", frame_stack=3),
    EnvConfig(TOY + "RandomWalk", wrappers=("TimeAwareObservation(flatten=False)", DRIFTING), time_limit=9),
    EnvConfig(TOY + "make_counting", kwargs={"length": 6}, wrappers=(DRIFTING,), fresh_instance=True),
]
OF_PACKAGES = [
    ("ale_py", lambda: EnvConfig("ALE/Pong-v5", wrappers=("atari",))),
    ("minatar", lambda: EnvConfig("MinAtar/Breakout-v1")),
    ("minigrid", lambda: EnvConfig("MiniGrid-DoorKey-5x5-v0", wrappers=("minigrid",), time_limit=25)),
]


@pytest.mark.parametrize(("package", "config"), OF_PACKAGES, ids=[package for package, _ in OF_PACKAGES])
def test_environments_of_packages_are_alike_in_all_backends(package: str, config: Callable[[], EnvConfig]) -> None:
    if find_spec(package) is None:
        pytest.skip(f"needs {package}, of the extra 'games'")
    test_backends_give_the_same_data_and_restore_each_others_episodes(config())


@pytest.mark.parametrize("config", CASES, ids=lambda config: config.id)
def test_backends_give_the_same_data_and_restore_each_others_episodes(config: EnvConfig) -> None:
    backends: list[Any] = ["in-process", "subprocess"] + (["batched"] if config.id in BATCHED else [])
    runs, saved = [], {}
    for backend in backends:
        vec, rng = make_vec(replace(config, backend=backend), 3, seed=7), np.random.default_rng(0)
        runs.append(play(vec, 100, rng))
        generator = rng.bit_generator.state
        # Sub-environments have one form of state: the subprocess backend takes over what in-process saved.
        state = vec.state_dict() if backend == "batched" else saved.setdefault("state", vec.state_dict())
        expected = play(vec, 20, rng, vec.current())
        vec.load_state_dict(state)
        assert vec.inexact == []
        rng.bit_generator.state = generator
        assert_same(play(vec, 20, rng, vec.current()), expected)
        vec.close()
    for run in runs[1:]:
        assert_same(run, runs[0])


@pytest.mark.parametrize("name", ["CartPole-v1", TOY + "RandomWalk-v0"])
def test_data_do_not_depend_on_how_environments_are_split_over_vectors(name: str) -> None:
    config = EnvConfig(name)
    whole = make_vec(config, 5, seed=3)
    parts = [make_vec(config, 2, seed=3), make_vec(config, 3, seed=3, first_env=2)]
    rng = np.random.default_rng(1)
    step, steps = whole.reset(), [part.reset() for part in parts]
    for _ in range(200):
        np.testing.assert_array_equal(step.obs["obs"], np.concatenate([part.obs["obs"] for part in steps]))
        action = sample_actions(whole, rng)["action"]
        step = whole.step({"action": action})
        steps = [part.step({"action": some}) for part, some in zip(parts, (action[:2], action[2:]), strict=True)]
        assert step.reward.tolist() == [reward for part in steps for reward in part.reward]


def test_final_obs_is_the_last_observation_of_the_episode_that_ended() -> None:
    config = EnvConfig(TOY + "Counting-v0", kwargs={"length": 4, "truncates": True})
    vec = make_vec(config, 3, seed=0)
    vec.reset()
    for step_number in range(1, 13):
        step = vec.step({"action": np.zeros(3, np.int64)})
        ends = step_number % 4 == 0
        assert step.truncated.tolist() == [ends] * 3
        assert not step.terminated.any()
        assert step.obs["obs"][:, 1].tolist() == [step_number % 4] * 3
        assert step.final_obs["obs"][:, 1].tolist() == ([4.0] * 3 if ends else [])
        assert step.reward.tolist() == [(step_number - 1) % 4 + 1.0] * 3
        assert vec.episode_steps.tolist() == [step_number % 4] * 3


def test_final_obs_has_one_row_for_each_ended_episode_in_env_order() -> None:
    vec = make_vec(EnvConfig("CartPole-v1", backend="in-process"), 8, seed=0)
    rng, ended, step = np.random.default_rng(0), 0, vec.reset()
    for _ in range(200):
        before = step.obs["obs"].copy()
        step = vec.step(sample_actions(vec, rng))
        rows = np.flatnonzero(step.terminated | step.truncated)
        assert len(step.final_obs["obs"]) == len(rows)
        # One Euler step moves the cart by 0.02 s times its speed.
        moved = before[rows, 0] + 0.02 * before[rows, 1]
        np.testing.assert_allclose(step.final_obs["obs"][:, 0], moved, atol=1e-6)
        ended += len(rows)
    assert ended > 20


def test_every_episode_is_that_of_one_environment_reset_with_its_own_seed() -> None:
    vec = make_vec(EnvConfig("Acrobot-v1", time_limit=25), 2, seed=11, first_env=4)
    env = gym.make("Acrobot-v1")
    starts = [vec.reset().obs["obs"].copy()]
    for _ in range(75):
        step = vec.step({"action": np.ones(2, np.int64)})
        if step.truncated.all():
            starts.append(step.obs["obs"].copy())
    assert len(starts) == 4
    for episode, start in enumerate(starts):
        for row in range(2):
            np.testing.assert_array_equal(start[row], env.reset(seed=episode_seed(11, 4 + row, episode))[0])


def test_reset_starts_the_same_episodes_anew() -> None:
    vec = make_vec(EnvConfig(TOY + "RandomWalk-v0"), 2, seed=5)
    assert_same(play(vec, 40, np.random.default_rng(2)), play(vec, 40, np.random.default_rng(2)))


@settings(max_examples=25, deadline=None)
@given(
    actions=st.lists(st.integers(0, 7), min_size=1, max_size=60),
    saved_at=st.integers(0, 60),
    seed=st.integers(0, 2**40),
)
def test_random_actions_give_the_same_data_batched_and_restored_anywhere(
    actions: list[int], saved_at: int, seed: int
) -> None:
    vecs = [make_vec(EnvConfig("CartPole-v1", backend=backend), 3, seed=seed) for backend in ("in-process", "batched")]
    for vec in vecs:
        vec.reset()
    for t, bits in enumerate(actions):
        if t == saved_at % len(actions):
            states = [vec.state_dict() for vec in vecs]
            vecs = [
                make_vec(EnvConfig("CartPole-v1", backend=backend), 3, seed=seed)
                for backend in ("in-process", "batched")
            ]
            for vec, state in zip(vecs, states, strict=True):
                vec.load_state_dict(state)
                assert vec.inexact == []
                assert_same_state(vec.state_dict(), state)
        action = {"action": np.array([bits & 1, bits >> 1 & 1, bits >> 2])}
        one, other = (kept(vec.step(action)) for vec in vecs)
        assert_same([one], [other])


def test_a_state_from_before_the_first_reset_loads() -> None:
    for backend in ("batched", "in-process"):
        vec = make_vec(EnvConfig("CartPole-v1", backend=backend), 2, seed=0)
        vec.load_state_dict(vec.state_dict())
        assert vec.inexact == []
        assert vec.reset().obs["obs"].shape == (2, 4)


def test_a_state_of_another_number_of_environments_is_refused() -> None:
    for backend in ("batched", "in-process"):
        config = EnvConfig("CartPole-v1", backend=backend)
        vec = make_vec(config, 2, seed=0)
        vec.reset()
        with pytest.raises(UserError, match="num_envs = 3: it takes 2"):
            make_vec(config, 3, seed=0).load_state_dict(vec.state_dict())


def test_a_saved_state_is_a_copy() -> None:
    for backend in ("batched", "in-process"):
        vec = make_vec(EnvConfig("CartPole-v1", backend=backend), 2, seed=0)
        play(vec, 10, np.random.default_rng(0))
        state = vec.state_dict()
        expected = [kept(vec.step({"action": np.ones(2, np.int64)})) for _ in range(30)]
        vec.load_state_dict(state)
        assert_same([kept(vec.step({"action": np.ones(2, np.int64)})) for _ in range(30)], expected)
        vec.load_state_dict(state)
        assert_same([kept(vec.step({"action": np.ones(2, np.int64)})) for _ in range(30)], expected)


def test_an_action_mask_belongs_to_the_observation_it_comes_with() -> None:
    vec, rng = make_vec(EnvConfig(TOY + "Masked-v0"), 3, seed=0), np.random.default_rng(0)
    step = vec.reset()
    for _ in range(20):
        assert step.action_mask is not None
        assert np.argmin(step.action_mask, axis=1).tolist() == step.obs["obs"].tolist()
        step = vec.step(sample_actions(vec, rng, step.action_mask))
    assert make_vec(EnvConfig("CartPole-v1"), 2, seed=0).reset().action_mask is None


@pytest.mark.parametrize("backend", ["in-process", "subprocess"])
def test_the_last_observation_of_an_episode_has_its_mask(backend: Any) -> None:
    vec, rng = make_vec(EnvConfig(TOY + "Masked-v0", backend=backend), 3, seed=0), np.random.default_rng(0)
    step = vec.reset()
    for step_number in range(1, 13):
        step = vec.step(sample_actions(vec, rng, step.action_mask))
        assert step.final_action_mask is not None
        assert len(step.final_action_mask) == (0 if step_number % 6 else 3)
        assert np.argmin(step.final_action_mask, axis=1).tolist() == step.final_obs["obs"].tolist()
    vec.close()
    assert make_vec(EnvConfig("CartPole-v1"), 2, seed=0).reset().final_action_mask is None


@pytest.mark.parametrize("nested", [False, True])
def test_a_mask_of_several_numbers_is_one_array_and_holds_for_each_of_them(nested: bool) -> None:
    vec, rng = (
        make_vec(EnvConfig(TOY + "MaskedPair-v0", kwargs={"nested": nested}), 3, seed=0),
        np.random.default_rng(0),
    )
    step = vec.reset()
    for _ in range(20):
        mask, forbidden = step.action_mask, step.obs["obs"].copy()
        assert mask is not None
        assert mask.shape == (3, 7)
        assert np.argmin(mask[:, :3], axis=1).tolist() == forbidden[:, 0].tolist()
        assert np.argmin(mask[:, 3:], axis=1).tolist() == forbidden[:, 1].tolist()
        step = vec.step(sample_actions(vec, rng, mask))
    wrong = sample_actions(vec, rng, step.action_mask)
    wrong["action"][1, 1] = step.obs["obs"][1, 1]
    with pytest.raises(ValueError, match=r"action\[1\] = \[\d, \d\]: the action mask forbids it"):
        vec.step(wrong)


def test_actions_that_do_not_fit_are_the_agents_mistake() -> None:
    cart, pendulum = make_vec(EnvConfig("CartPole-v1"), 2, seed=0), make_vec(EnvConfig("Pendulum-v1"), 2, seed=0)
    masked = make_vec(EnvConfig(TOY + "Masked-v0"), 2, seed=0)
    for vec in (cart, pendulum):
        vec.reset()
    forbidden = np.argmin(masked.reset().action_mask, axis=1)
    wrong: list[tuple[VectorEnv, Arrays, str]] = [
        (cart, {"action": np.array([0, 2])}, r"action\[1\] = 2"),
        (cart, {"action": np.array([0.0, 1.0])}, "dtype float64"),
        (cart, {"action": np.array([0])}, "shape"),
        (cart, {"act": np.array([0, 1])}, "takes"),
        (pendulum, {"action": np.array([[np.nan], [0]], np.float32)}, r"action\[0\] = \[nan\]"),
        (masked, {"action": forbidden}, "the action mask forbids it"),
    ]
    for vec, action, message in wrong:
        with pytest.raises(ValueError, match=message):
            vec.step(action)
    cart.step({"action": np.array([0, 1])})
