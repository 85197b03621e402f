"""What kind an environment is: its families in their order, and its actions."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from envs.config import EnvConfig
from envs.families import kind_of
from training.errors import UserError

VECTOR = spaces.Box(-1.0, 1.0, (3,))


def image(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


class Shown(gym.Env[Any, Any]):
    """An environment with spaces that are asked for; nobody steps it."""

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space


@pytest.fixture
def registered() -> Any:
    """Registers an environment with these spaces, as if its class were in another module; undone at the end."""
    names = []

    def register(name: str, module: str, observed: gym.Space[Any], actions: gym.Space[Any] | None = None) -> EnvConfig:
        def make(**_: Any) -> Shown:
            return Shown(observed, actions or spaces.Discrete(2))

        make.__module__ = module
        gym.register(name, make)
        names.append(name)
        return EnvConfig(name)

    yield register
    for name in names:
        gym.registry.pop(name)


@pytest.mark.parametrize(
    ("env_id", "names", "actions"),
    [
        ("Acrobot-v1", ("Acrobot-v1", "classic_control", "default"), "discrete"),
        ("BipedalWalker-v3", ("BipedalWalker-v3", "box2d", "default"), "continuous"),
        ("CarRacing-v3", ("CarRacing-v3", "images", "box2d", "default"), "continuous"),
        ("Reacher-v5", ("Reacher-v5", "mujoco", "default"), "continuous"),
        ("FrozenLake-v1", ("FrozenLake-v1", "discrete_states", "default"), "discrete"),
        ("Blackjack-v1", ("Blackjack-v1", "discrete_states", "default"), "discrete"),
        ("envs.tasks:Reach-v0", ("envs.tasks:Reach-v0", "goals", "default"), "continuous"),
        ("envs.tasks:DigitDial-v0", ("envs.tasks:DigitDial-v0", "small_images", "default"), "discrete"),
        ("tests.support.toy_envs:Counting-v0", ("tests.support.toy_envs:Counting-v0", "default"), "discrete"),
    ],
)
def test_the_families_of_real_environments(env_id: str, names: tuple[str, ...], actions: str) -> None:
    kind = kind_of(EnvConfig(env_id))
    assert (kind.names, kind.actions) == (names, actions)


@pytest.mark.parametrize(
    ("module", "observed", "families"),
    [
        ("ale_py.env", image(210, 160, 3), ["atari", "images"]),
        ("envs.minatar", spaces.Box(0, 1, (10, 10, 4), bool), ["minatar", "small_images"]),
        (
            "minigrid.envs.doorkey",
            spaces.Dict({"image": image(7, 7, 3), "mission": spaces.Text(9)}),
            ["minigrid", "small_images"],
        ),
        ("mine", image(4, 84, 84), ["images"]),
        ("mine", image(8, 8), ["small_images"]),
        ("mine", spaces.Dict({"camera": image(64, 64, 3), "wheels": VECTOR}), ["images"]),
        ("mine", spaces.Tuple([spaces.Discrete(3), spaces.MultiBinary(2)]), ["discrete_states"]),
        ("mine", spaces.Dict({"where": spaces.Discrete(3), "speed": VECTOR}), []),
        ("mine", image(128), []),
        ("minigridlike", VECTOR, []),
    ],
)
def test_the_entry_point_and_the_observations_tell_the_family(
    registered: Any, module: str, observed: gym.Space[Any], families: list[str]
) -> None:
    assert kind_of(registered("Mine-v0", module, observed)).names == ("Mine-v0", *families, "default")


@pytest.mark.parametrize(
    ("space", "kind"),
    [
        (spaces.Discrete(3), "discrete"),
        (VECTOR, "continuous"),
        (spaces.Box(-np.inf, np.inf, (3,)), "other"),
        (spaces.Box(-1.0, 1.0, ()), "other"),
        (spaces.Box(0, 3, (3,), np.int64), "other"),
        (spaces.MultiDiscrete([2, 2]), "other"),
        (spaces.Dict({"turn": spaces.Discrete(3)}), "other"),
    ],
)
def test_the_kind_of_actions(registered: Any, space: gym.Space[Any], kind: str) -> None:
    assert kind_of(registered("Mine-v0", "mine", VECTOR, space)).actions == kind


def test_an_environment_that_cannot_be_made_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="CartPole-v1 does not take them"):
        kind_of(EnvConfig("CartPole-v1", kwargs={"sail": True}))
