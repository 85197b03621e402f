"""Configs, wrappers, videos and the scale of rewards."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tyro
from gymnasium import spaces
from pydantic import TypeAdapter

from envs.config import EnvConfig
from envs.making import make_vec
from envs.reward_scale import RewardScale
from envs.single import make_env
from envs.vector import Arrays, Step
from envs.video import record_video
from envs.wrappers import ToBounds
from training.core import UserError


@dataclass(frozen=True)
class Config:
    env: EnvConfig = field(default_factory=EnvConfig)


def test_configs_come_from_the_command_line_and_from_json() -> None:
    words = ["--env.id", "Pendulum-v1", "--env.kwargs", '{"g": 9.8}', "--env.time-limit", "10"]
    config = tyro.cli(Config, args=words)
    assert config.env == EnvConfig("Pendulum-v1", kwargs={"g": 9.8}, time_limit=10)
    saved = TypeAdapter(Config).dump_json(config)
    assert TypeAdapter(Config).validate_json(saved) == config
    assert json.loads(saved)["env"]["kwargs"] == {"g": 9.8}
    with pytest.raises(SystemExit):
        tyro.cli(Config, args=["--env.kwargs", "[1]"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"id": "CartPoel-v1"}, "env.id = 'CartPoel-v1': .* nearest registered name is 'CartPole-v1'"),
        ({"id": "LunarLander-v2"}, "nearest registered name is 'LunarLander-v3'"),
        ({"id": "no_such_module:Thing-v0"}, "env.id = 'no_such_module:Thing-v0': cannot import 'no_such_module'"),
        ({"time_limit": 0}, "env.time_limit = 0: it takes at least 1"),
        ({"frame_stack": 0}, "env.frame_stack = 0: it takes at least 1"),
        ({"step_timeout_s": 0}, "env.step_timeout_s = 0"),
    ],
)
def test_impossible_configs_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        EnvConfig(**values)
    assert "\n" not in str(error.value)


def test_what_cannot_be_made_is_refused_in_one_line() -> None:
    wrong: list[tuple[EnvConfig, str]] = [
        (EnvConfig("Pendulum-v1", backend="batched"), "env.backend = 'batched': it takes one of CartPole"),
        (EnvConfig(frame_stack=2, backend="batched"), "env.backend = 'batched'"),
        (
            EnvConfig("Pendulum-v1", kwargs={"gravity": 1}),
            r"env.kwargs = {'gravity': 1}: Pendulum-v1 does not take them",
        ),
        (EnvConfig("tests.toy_envs:Sentences-v0"), r"Text space \(part 'said'\)"),
    ]
    for config, message in wrong:
        with pytest.raises(UserError, match=message) as error:
            make_vec(config, 2, seed=0)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="num_envs = 0: it takes at least 1"):
        make_vec(EnvConfig(), 0, seed=0)


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("LunarLander-v3", "Box2D", "box2d"), ("Ant-v5", "mujoco", "mujoco")]
)
def test_a_missing_package_is_one_line_with_the_command_that_installs_it(
    name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [loaded for loaded in sys.modules if loaded.startswith(f"gymnasium.envs.{extra}")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as error:
        make_env(EnvConfig(name))
    assert str(error.value).endswith(f'; install it: .venv/bin/pip install -c constraints.txt -e ".[{extra}]"')
    assert "\n" not in str(error.value)


def test_ataris_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(UserError, match=r"pip install -c constraints\.txt ale-py$"):
        EnvConfig("ALE/Pong-v5")


low, high = np.float32([-2.0, 0.0, -np.inf]), np.float32([6.0, 0.1, np.inf])


def test_actions_are_rescaled_and_clipped_and_unbounded_entries_left_alone() -> None:
    to_bounds = ToBounds(spaces.Box(low, high), rescale=True)
    actions = np.array([[-1, -1, -5], [1, 1, 5], [0, 0, 0], [-9, 9, 0.5]], np.float32)
    expected = [[-2, 0, -5], [6, 0.1, 5], [2, 0.05, 0], [-2, 0.1, 0.5]]
    np.testing.assert_allclose(to_bounds(actions), expected, rtol=1e-6, atol=1e-7)
    assert all(spaces.Box(low, high).contains(action) for action in to_bounds(actions))


def test_without_rescaling_actions_are_only_clipped() -> None:
    to_bounds = ToBounds(spaces.Box(low, high), rescale=False)
    actions = np.array([[-1, 0.05, -5], [9, 9, 9]], np.float32)
    np.testing.assert_allclose(to_bounds(actions), [[-1, 0.05, -5], [6, 0.1, 9]], rtol=1e-6)


def test_stacked_frames_begin_with_the_first_observation_of_the_episode() -> None:
    config = EnvConfig("tests.toy_envs:Counting-v0", kwargs={"length": 4}, frame_stack=3)
    vec = make_vec(config, 1, seed=0)
    first = vec.reset().obs["obs"]
    assert first[0].tolist() == [[1, 0]] * 3
    seen = [first[0, :, 1].tolist()]
    final = []
    for _ in range(5):
        step = vec.step({"action": np.zeros(1, np.int64)})
        seen.append(step.obs["obs"][0, :, 1].tolist())
        final += step.final_obs["obs"][:, :, 1].tolist()
    assert seen == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3], [0, 0, 0], [0, 0, 1]]
    assert final == [[2, 3, 4]]


def test_a_video_holds_one_whole_episode(tmp_path: Path) -> None:
    from imageio.v2 import get_reader

    seen: list[Step] = []

    def push_right(step: Step) -> Arrays:
        seen.append(step)
        return {"action": np.ones(1, np.int64)}

    path = record_video(EnvConfig(), push_right, tmp_path / "videos", seed=3)
    assert path == tmp_path / "videos" / "CartPole-v1-seed-3.mp4"
    assert 5 < len(seen) < 20
    assert get_reader(path).count_frames() == len(seen) + 1
    assert seen[0].obs["obs"].shape == (1, 4)
    np.testing.assert_array_equal(seen[0].obs["obs"], make_vec(EnvConfig(), 1, seed=3).reset().obs["obs"])


def test_an_environment_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it does not render"), pytest.warns(UserWarning, match="render_mode"):
        record_video(EnvConfig("tests.toy_envs:Pictureless-v0"), lambda _: {}, tmp_path, seed=0)


def test_reward_scale_is_that_of_stable_baselines3_over_the_same_rewards() -> None:
    from stable_baselines3.common.running_mean_std import RunningMeanStd

    rng, oracle, returns = np.random.default_rng(0), RunningMeanStd(), np.zeros(4)
    scale = RewardScale(4, gamma=0.9)
    for _ in range(5):
        reward, done = rng.normal(3, 2, (32, 4)), rng.random((32, 4)) < 0.1
        for t in range(32):
            returns = returns * 0.9 + reward[t]
            oracle.update(returns)
            returns[done[t]] = 0
        scaled = scale(reward, done)
        expected = np.clip(reward / np.sqrt(oracle.var + 1e-8), -10, 10)
        np.testing.assert_allclose(scaled, expected, rtol=1e-9)


def test_reward_scale_continues_from_its_state_and_ignores_what_is_not_valid() -> None:
    rng = np.random.default_rng(1)
    reward, done = rng.normal(0, 50, (2, 16, 3)), rng.random((2, 16, 3)) < 0.2
    scale, resumed = RewardScale(3, gamma=0.99), RewardScale(3, gamma=0.99)
    scale(reward[0], done[0])
    resumed.load_state_dict(scale.state_dict())
    np.testing.assert_array_equal(scale(reward[1], done[1]), resumed(reward[1], done[1]))
    part, padded = RewardScale(3, gamma=0.0), RewardScale(3, gamma=0.0)
    valid = rng.random((16, 3)) < 0.5
    padded(reward[0], done[0], valid)
    part(reward[0][valid][:, None].repeat(3, axis=1), np.zeros((valid.sum(), 3), np.bool_))
    assert padded.variance == pytest.approx(part.variance, rel=1e-4)
    outlier = np.where(np.arange(600).reshape(200, 3) == 7, 1e9, 0.0)
    assert scale(outlier, outlier > 0).max() == 10
