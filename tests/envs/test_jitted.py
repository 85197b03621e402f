"""Environments that Numba compiles: the same in one copy and in many, in a group and in a run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from agents.acting.rollout_kernel import takes
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from envs import jitted
from envs.config import EnvConfig
from envs.hidden_randomness import hidden_randomness
from envs.jitted import JittedEnv
from envs.making import find_batched, make_vec
from envs.single import make_env
from envs.vectors.batched import BatchedVectorEnv
from envs.vectors.vector import EnvFault
from experiments.__main__ import main
from training.errors import UserError
from training.seeding import generator

pytest.importorskip("numba")


class Drift(JittedEnv):
    """A point that is pushed left and right, and ends where it has gone too far."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = spaces.Discrete(3)
    max_episode_steps = 60

    @staticmethod
    def first_state(generator: np.random.Generator) -> Any:
        return generator.uniform(-1, 1, 2)

    @staticmethod
    def advance(state: Any, action: Any) -> tuple[float, bool]:
        state[1] += 0.3 * (action - 1) * math.cos(state[0])
        state[0] += 0.3 * state[1]
        return -abs(state[0]), abs(state[0]) > 2.5

    @staticmethod
    def observe(state: Any, obs: Any) -> None:
        obs[0], obs[1], obs[2] = math.sin(state[0]), math.cos(state[0]), state[1]


class Pushed(Drift):
    """The same with a force."""

    action_space = spaces.Box(-2.0, 2.0, (1,), np.float32)

    @staticmethod
    def advance(state: Any, action: Any) -> tuple[float, bool]:
        state[1] += 0.3 * action[0]
        state[0] += 0.3 * state[1]
        return -(state[0] ** 2) - 0.1 * np.sum(action * action), abs(state[0]) > 4


class Heated(Drift):
    """The same with a heater: its actions are in bounds that are not around 0."""

    action_space = spaces.Box(0.1, 2.7, (2,), np.float32)

    @staticmethod
    def advance(state: Any, action: Any) -> tuple[float, bool]:
        state[1] += 0.3 * (action[0] - action[1])
        state[0] += 0.3 * state[1]
        return -abs(state[0] - action[0]), abs(state[0]) > 4


class Fragile(Drift):
    """A step that raises where the point is far out."""

    @staticmethod
    def advance(state: Any, action: Any) -> tuple[float, bool]:
        state[0] += 0.1
        if state[0] > 1.5:
            raise ValueError("too far")
        return 0.0, False


class Random(Drift):
    """Chance that no seed decides."""

    @staticmethod
    def advance(state: Any, action: Any) -> tuple[float, bool]:
        state[0] += np.random.normal()
        return 0.0, False


class Shaped(Drift):
    """With a step of its own."""

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, 10 * reward, *rest


class Beyond(Drift):
    """What it sees has no place."""

    @staticmethod
    def observe(state: Any, obs: Any) -> None:
        obs[3] = state[0]


ENVS = ["tests.envs.test_jitted:Drift", "tests.envs.test_jitted:Pushed"]


@pytest.mark.parametrize("env_id", ENVS)
def test_it_is_an_environment_of_gymnasium_with_its_own_time_limit(env_id: str) -> None:
    with make_env(EnvConfig(env_id)) as env:  # type: ignore[attr-defined]
        check_env(env.unwrapped, skip_render_check=True)
        env.reset(seed=1)
        action = np.int64(1) if isinstance(env.action_space, spaces.Discrete) else np.zeros(1, np.float32)
        steps = 0
        while True:
            *_, terminated, truncated, _ = env.step(action)
            steps += 1
            if terminated or truncated:
                break
        assert steps == 60 or terminated


@pytest.mark.parametrize("env_id", ENVS)
def test_many_copies_do_what_one_does_to_the_bit(env_id: str) -> None:
    own = make_vec(EnvConfig(env_id), 5, seed=3)
    plain = make_vec(EnvConfig(env_id, backend="in-process"), 5, seed=3)
    assert isinstance(own, BatchedVectorEnv)
    assert not isinstance(plain, BatchedVectorEnv)
    rng = np.random.default_rng(0)
    steps = [own.reset(), plain.reset()]
    for _ in range(200):
        np.testing.assert_array_equal(steps[0].obs["obs"], steps[1].obs["obs"])
        for name in ("reward", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(steps[0], name), getattr(steps[1], name))
        np.testing.assert_array_equal(steps[0].final_obs["obs"], steps[1].final_obs["obs"])
        discrete = isinstance(own.action_space, spaces.Discrete)
        action = rng.integers(0, 3, 5) if discrete else rng.uniform(-2, 2, (5, 1)).astype(np.float32)
        for vec in (own, plain):
            vec.send({"action": action})
        steps = [own.receive(), plain.receive()]


def test_a_perceptron_acts_in_it_by_one_call() -> None:
    vec = make_vec(EnvConfig(ENVS[0]), 4, seed=1)
    policy = ActorCritic(vec.observation_space, vec.action_space, ActorCriticConfig(), generator(1, "weights"))
    policy.has_kernels = True
    assert takes(policy, vec)


def test_a_run_learns_in_it_and_goes_on(tmp_path: Path) -> None:
    options = ["--tracker=none", "--agent.horizon=64", "--evaluation.final-episodes=2"]
    asked = ["train", "ppo", f"--env.id={ENVS[0]}", *options]
    assert main([*asked, "--env-steps=4096", f"--run-dir={tmp_path / 'whole'}"]) == 0
    assert main([*asked, "--env-steps=2048", f"--run-dir={tmp_path / 'half'}"]) == 0
    assert main(["resume", str(tmp_path / "half"), "--env-steps=4096", f"--run-dir={tmp_path / 'child'}"]) == 0
    rows = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "child")]
    assert json.loads(rows[0][-1])["env_steps"] == json.loads(rows[1][-1])["env_steps"] == 4096


def test_a_step_of_its_own_is_not_left_out() -> None:
    assert find_batched(EnvConfig("tests.envs.test_jitted:Shaped")) is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Numba tells it
def test_a_step_that_raises_is_told_in_many_copies_too() -> None:
    vec = make_vec(EnvConfig("tests.envs.test_jitted:Fragile"), 3, seed=1)
    vec.reset()
    send = lambda: [vec.send({"action": np.ones(3, np.int64)}) for _ in range(50)]  # noqa: E731
    with pytest.raises(EnvFault, match="test_jitted:Fragile: advance raised, or gave numbers that are not finite"):
        send()


def test_chance_that_no_seed_decides_is_found() -> None:
    assert "the same seed gives another" in str(hidden_randomness(EnvConfig("tests.envs.test_jitted:Random"), seed=1))
    assert hidden_randomness(EnvConfig(ENVS[0]), seed=1) is None


def test_one_copy_tells_of_an_index_out_of_range() -> None:
    with pytest.raises(IndexError):
        Beyond().reset(seed=1)


@pytest.mark.parametrize("limit", [0, -1, 1e3, True])
def test_a_limit_that_is_none_is_one_line(limit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Drift, "max_episode_steps", limit)
    with pytest.raises(
        UserError, match=r"Drift\.max_episode_steps = .*: it takes a whole number of at least 1, or None"
    ):
        EnvConfig(ENVS[0])


@pytest.mark.parametrize("change", [{"kwargs": {"a": 1}}, {"wrappers": ("TimeAwareObservation",)}])
def test_with_arguments_or_wrappers_it_is_stepped_one_by_one(change: dict[str, Any]) -> None:
    assert find_batched(EnvConfig(ENVS[0], **change)) is None


def test_registered_it_has_the_limit_of_its_registration() -> None:
    gym.register("Drifting-v0", ENVS[0], max_episode_steps=7)
    try:
        batched = find_batched(EnvConfig("Drifting-v0"))
        assert batched is not None
        assert batched[1] == 7
    finally:
        del gym.registry["Drifting-v0"]


def test_without_numba_the_functions_run_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jitted, "find_spec", lambda _: None)
    jitted._compiled.cache_clear()
    try:
        assert find_batched(EnvConfig(ENVS[0])) is None
        with pytest.raises(UserError, match="a JittedEnv with Numba"):
            make_vec(EnvConfig(ENVS[0], backend="batched"), 2, seed=1)
        env = Drift()
        env.reset(seed=1)
        assert env.step(2)[1] < 0
    finally:
        jitted._compiled.cache_clear()


class Unknown(Drift):
    """What Numba cannot compile."""

    @staticmethod
    def advance(state: Any, action: Any) -> tuple[float, bool]:
        return float(open("/dev/null").fileno()), False


class Image(Drift):
    """What is no vector."""

    observation_space = spaces.Box(0, 1, (3, 3), np.float32)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Unknown", r"tests\.envs\.test_jitted:Unknown: Numba does not compile its functions: .*open"),
        ("Image", r"observation_space = .*: it takes a Box of float32 of one dimension in a JittedEnv"),
    ],
)
def test_what_it_cannot_be_is_one_line(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        make_vec(EnvConfig(f"tests.envs.test_jitted:{name}"), 2, seed=1)
    assert "\n" not in str(raised.value)
