"""One environment and what stands between it and the agent."""

from __future__ import annotations

import sys
from dataclasses import replace

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec

from envs.config import EnvConfig
from envs.single import make_env
from training.errors import UserError

CARTPOLE = EnvConfig("CartPole-v1")


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


def test_a_constructor_that_fails_without_kwargs_keeps_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(parts: int = 0) -> None:
        assert parts

    monkeypatch.setitem(gym.registry, "Unbuildable-v0", EnvSpec("Unbuildable-v0", make))
    with pytest.raises(AssertionError):
        make_env(EnvConfig("Unbuildable-v0"))
    with pytest.raises(UserError, match=r"env.kwargs = .*: Unbuildable-v0 does not take them \(AssertionError"):
        make_env(EnvConfig("Unbuildable-v0", kwargs={"parts": 0}))


def test_frames_are_stacked_of_what_is_selected() -> None:
    env = make_env(replace(CARTPOLE, observation_indices=(0, 2), frame_stack=3))
    assert env.observation_space.shape == (3, 2)
    assert env.reset(seed=1)[0].shape == (3, 2)


def test_a_time_limit_takes_the_place_of_the_environments_own() -> None:
    env = make_env(replace(CARTPOLE, time_limit=2))
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(2)] == [False, True]
