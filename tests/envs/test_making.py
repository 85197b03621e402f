"""Configs, one environment and its wrappers, actions, videos, and what is imported for them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from envs.actions import ToBounds
from envs.config import BackendName, EnvConfig
from envs.making import make_vec
from envs.single import make_env
from envs.video import record_video
from tests.support import ROOT
from training.errors import UserError
from training.options import config_from_tree, config_to_tree, parse_options

CARTPOLE = EnvConfig("CartPole-v1")


@dataclass(frozen=True)
class Config:
    env: EnvConfig = CARTPOLE


def test_configs_come_from_the_command_line_and_from_json() -> None:
    words = ["--env.id", "Pendulum-v1", "--env.kwargs", '{"g": 9.8}', "--env.time-limit", "10"]
    (config,) = parse_options([*words, "--env.observation-indices", "0", "2"], Config())
    assert config.env == EnvConfig("Pendulum-v1", kwargs={"g": 9.8}, time_limit=10, observation_indices=(0, 2))
    assert config_from_tree(config_to_tree(config), Config()) == config
    with pytest.raises(UserError, match=r"env\.kwargs"):
        parse_options(["--env.kwargs", "[1]"], Config())


def test_an_environment_is_never_chosen_by_default() -> None:
    with pytest.raises(TypeError, match="'id'"):
        EnvConfig()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"id": "CartPoel-v1"}, "^id = 'CartPoel-v1': .* the nearest name is 'CartPole-v1'"),
        ({"id": "LunarLander-v2"}, "the nearest name is 'LunarLander-v3'"),
        ({"id": "no_such_module:Thing-v0"}, "^id = 'no_such_module:Thing-v0': cannot import 'no_such_module'"),
        ({"time_limit": 0}, "^time_limit = 0: it takes at least 1"),
        ({"frame_stack": 0}, "^frame_stack = 0: it takes at least 1"),
        ({"observation_indices": ()}, r"^observation_indices = \(\): it takes different integers of at least 0"),
        ({"observation_indices": (1, 1)}, r"^observation_indices = \(1, 1\): it takes different"),
        ({"observation_indices": (0, -1)}, r"^observation_indices = \(0, -1\): it takes different"),
        ({"step_timeout_s": 0}, "^step_timeout_s = 0"),
    ],
)
def test_impossible_configs_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        replace(CARTPOLE, **values)
    assert "\n" not in str(error.value)


def test_what_cannot_be_made_is_refused_in_one_line() -> None:
    wrong: list[tuple[EnvConfig, str]] = [
        (EnvConfig("FrozenLake-v1", backend="batched"), "env.backend = 'batched': it takes one of Acrobot-v1, Bern"),
        (replace(CARTPOLE, frame_stack=2, backend="batched"), "env.backend = 'batched'"),
        (
            EnvConfig("Pendulum-v1", kwargs={"gravity": 1}),
            r"env.kwargs = {'gravity': 1}: Pendulum-v1 does not take them",
        ),
        (
            EnvConfig("Acrobot-v1", backend="vector-entry-point"),
            "env.backend = 'vector-entry-point': it takes an environment registered with a vector_entry_point; "
            "Acrobot-v1 has none",
        ),
        (
            replace(CARTPOLE, frame_stack=2, backend="vector-entry-point"),
            "env.backend = 'vector-entry-point': it takes an environment without frame_stack",
        ),
        (
            replace(CARTPOLE, observation_indices=(0, 4)),
            r"env.observation_indices = \(0, 4\): it takes indices below 4, the length of CartPole-v1's",
        ),
        (
            EnvConfig("FrozenLake-v1", observation_indices=(0,)),
            r"env.observation_indices = \(0,\): it takes None: FrozenLake-v1 observes Discrete\(16\), which",
        ),
        (
            EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"gravity": 1}, backend="vector-entry-point"),
            "env.kwargs = {'gravity': 1}: tests.support.toy_envs:Counting-v0 does not take them",
        ),
        (EnvConfig("tests.support.toy_envs:Sentences-v0"), r"Text space \(part 'said'\)"),
    ]
    for config, message in wrong:
        with pytest.raises(UserError, match=message) as error:
            make_vec(config, 2, seed=0)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="num_envs = 0: it takes at least 1"):
        make_vec(CARTPOLE, 0, seed=0)


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


@pytest.mark.parametrize("backend", ["in-process", "subprocess"])
def test_kwargs_that_the_constructor_chokes_on_are_the_users_mistake(backend: BackendName) -> None:
    with pytest.raises(UserError) as error:
        make_vec(EnvConfig("FrozenLake-v1", kwargs={"map_name": "9x9"}, backend=backend), 1, seed=0)
    assert str(error.value) == "env.kwargs = {'map_name': '9x9'}: FrozenLake-v1 does not take them (KeyError: '9x9')"
    with pytest.raises(UserError, match=r"FrozenLake-v1 does not take them \(TypeError: .*argument 'size'"):
        make_env(EnvConfig("FrozenLake-v1", kwargs={"size": 9}))


def test_a_constructor_that_fails_without_kwargs_keeps_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(parts: int = 0) -> None:
        assert parts

    monkeypatch.setitem(gym.registry, "Unbuildable-v0", EnvSpec("Unbuildable-v0", make))
    with pytest.raises(AssertionError):
        make_env(EnvConfig("Unbuildable-v0"))
    with pytest.raises(UserError, match=r"env.kwargs = .*: Unbuildable-v0 does not take them \(AssertionError"):
        make_env(EnvConfig("Unbuildable-v0", kwargs={"parts": 0}))


def test_a_relative_module_is_refused() -> None:
    with pytest.raises(UserError, match=r"^id = '\.foo:Bar-v0': it takes a module's whole name before the colon$"):
        EnvConfig(".foo:Bar-v0")


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
    config = EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"length": 4}, frame_stack=3)
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


@pytest.mark.parametrize("backend", ["batched", "in-process"])
def test_only_the_selected_observations_are_seen_and_are_restored(backend: BackendName) -> None:
    config = replace(CARTPOLE, backend=backend, time_limit=20)
    vecs = [make_vec(config, 3, seed=4), make_vec(replace(config, observation_indices=(2, 0)), 3, seed=4)]
    whole, selected = vecs
    assert selected.observation_space == spaces.Box(
        whole.observation_space.low[[2, 0]],  # type: ignore[attr-defined]
        whole.observation_space.high[[2, 0]],  # type: ignore[attr-defined]
    )
    steps, ends = [vec.reset() for vec in vecs], 0
    for _ in range(50):
        np.testing.assert_array_equal(steps[1].obs["obs"], steps[0].obs["obs"][:, [2, 0]])
        np.testing.assert_array_equal(steps[1].final_obs["obs"], steps[0].final_obs["obs"][:, [2, 0]])
        ends += len(steps[1].final_obs["obs"])
        steps = [vec.step({"action": np.array([0, 1, 1])}) for vec in vecs]
    assert ends >= 6
    other = make_vec(replace(config, observation_indices=(2, 0)), 3, seed=4)
    other.load_state_dict(selected.state_dict())
    np.testing.assert_array_equal(other.current().obs["obs"], selected.current().obs["obs"])
    assert other.inexact == []


def test_frames_are_stacked_of_what_is_selected() -> None:
    env = make_env(replace(CARTPOLE, observation_indices=(0, 2), frame_stack=3))
    assert env.observation_space.shape == (3, 2)
    assert env.reset(seed=1)[0].shape == (3, 2)


def test_a_video_holds_one_whole_episode_from_its_first_observation(tmp_path: Path) -> None:
    from imageio.v2 import get_reader

    seen: list[Any] = []

    def push_right(obs: Any, *, action_mask: Any, reward: float) -> int:
        assert action_mask is None
        seen.append(obs)
        return 1

    path = record_video(CARTPOLE, push_right, tmp_path / "videos", seed=3)
    assert path == tmp_path / "videos" / "CartPole-v1-seed-3.mp4"
    vec = make_vec(CARTPOLE, 1, seed=3)
    step, expected = vec.reset(), []
    while not step.terminated[0]:
        expected.append(step.obs["obs"][0].copy())
        step = vec.step({"action": np.ones(1, np.int64)})
    np.testing.assert_array_equal(seen, expected)
    assert get_reader(path).count_frames() == len(seen) + 1


def test_a_video_shows_the_policy_the_action_mask(tmp_path: Path) -> None:
    masks: list[Any] = []

    def first_allowed(obs: Any, *, action_mask: Any, reward: float) -> int:
        masks.append(action_mask)
        return int(np.argmax(action_mask)) + 1

    record_video(EnvConfig("tests.support.toy_envs:Masked-v0"), first_allowed, tmp_path, seed=0)
    assert [int(mask.sum()) for mask in masks] == [3] * 6


@pytest.mark.parametrize("name", ["Pictureless-v0", "Counting-v0"])
@pytest.mark.filterwarnings("ignore:.*render_mode")
def test_an_environment_without_pictures_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{name} cannot be re(corded|ndered)") as error:
        record_video(
            EnvConfig(f"tests.support.toy_envs:{name}"), lambda obs, *, action_mask, reward: 0, tmp_path, seed=0
        )
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*.mp4"))


@pytest.mark.parametrize("package", ["imageio", "imageio_ffmpeg"])
def test_a_missing_video_package_is_one_line_with_the_command_that_installs_it(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0].startswith("imageio")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError) as error:
        record_video(CARTPOLE, lambda obs, *, action_mask, reward: 0, tmp_path, seed=0)
    assert str(error.value).endswith('; install it: .venv/bin/pip install -c constraints.txt -e ".[video]"')
    assert "\n" not in str(error.value)


def test_making_environments_and_their_workers_loads_no_learning_and_no_config_libraries() -> None:
    code = "import sys, envs.making; print({'torch', 'tyro', 'pydantic', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert "torch" in sys.modules  # so that a worker would inherit it, were it not started afresh
    vec = make_vec(EnvConfig("tests.support.toy_envs:LoadedModules-v0", backend="subprocess"), 1, seed=0)
    assert vec.reset().obs["obs"].tolist() == [[0, 0, 0]]
    vec.close()
