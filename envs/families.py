"""What kind of environment it is: the names under which an algorithm may have numbers for it, and its actions.

An environment is made once for that. Its spaces say most, the module that it was registered with the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs.config import EnvConfig
from envs.making import Spaces, make_vec, spaces_of
from envs.single import user_errors
from training.spaces import is_image

ActionKind = Literal["discrete", "continuous", "other"]
DEFAULT = "default"
"""The name of what holds for every environment."""
GAMES = {"ale_py": "atari", "envs.minatar": "minatar", "minigrid": "minigrid"}
"""Families by the module of the entry point, whose observations only say how a wrapper is to change them."""
PHYSICS = {
    "gymnasium.envs.classic_control": "classic_control",
    "gymnasium.envs.box2d": "box2d",
    "gymnasium.envs.mujoco": "mujoco",
}
"""Likewise; observations that are no plain vector say more than these."""
GOAL_PARTS = {"observation", "achieved_goal", "desired_goal"}
"""Of an observation with goals, as Gymnasium-Robotics has them."""
LARGE_PIXELS = 36
"""From this height and width on an image is large enough for the convolutions of Mnih et al. 2015."""


@dataclass(frozen=True)
class Kind:
    """What kind of environment it is."""

    names: tuple[str, ...]
    """The most special first: its own id, its families, `default`."""
    actions: ActionKind
    """continuous: a bounded Box of floats."""
    action_space: gym.Space[Any]


def kind_of(config: EnvConfig) -> Kind:
    """What kind of environment a config describes; raises UserError where it cannot be made."""
    module = "" if config.backend == "envpool" else _entry_module(config)
    games = list(_within(module, GAMES))
    observation_space, action_space = _spaces_as_registered(config) if games else _spaces(config)
    named = [config.id, *games, *_by_observation(observation_space), *_within(module, PHYSICS), DEFAULT]
    return Kind(tuple(dict.fromkeys(named)), _kind_of_actions(action_space), action_space)


def _spaces(config: EnvConfig) -> Spaces:
    if config.backend != "envpool":
        return spaces_of(config)
    with closing(make_vec(config, 1, seed=0)) as vec:
        return vec.observation_space, vec.action_space


def _spaces_as_registered(config: EnvConfig) -> Spaces:
    """Without wrappers, which a preset may have to add before anything can learn from the observations."""
    with user_errors(config):
        env = gym.make(config.spec, disable_env_checker=True, **config.kwargs)
    with closing(env):
        return env.observation_space, env.action_space


def _entry_module(config: EnvConfig) -> str:
    """The module that the registration names, or that of the function or class that it holds."""
    entry_point = config.spec.entry_point
    return (
        entry_point.partition(":")[0] if isinstance(entry_point, str) else str(getattr(entry_point, "__module__", ""))
    )


def _within(module: str, families: dict[str, str]) -> Iterator[str]:
    """The family of a module that is one of these, or inside one."""
    yield from (name for root, name in families.items() if f"{module}.".startswith(f"{root}."))


def _by_observation(space: gym.Space[Any]) -> Iterator[str]:
    """The families that an observation tells; none for a vector of numbers."""
    if isinstance(space, spaces.Dict) and set(space.spaces) >= GOAL_PARTS:
        yield "goals"
    parts = list(_parts(space))
    images = [part.shape for part in parts if is_image(part)]
    if images:
        # The largest two sizes are height and width: channels and stacked frames are few.
        large = all(sorted(shape or ())[-2] >= LARGE_PIXELS for shape in images)
        yield "images" if large else "small_images"
    if all(isinstance(part, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary) for part in parts):
        yield "discrete_states"


def _parts(space: gym.Space[Any]) -> Iterator[gym.Space[Any]]:
    """The plain spaces in a nested one, of kinds that `envs.spaces` does not know too."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        for part in space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces:
            yield from _parts(part)
    else:
        yield space


def _kind_of_actions(space: gym.Space[Any]) -> ActionKind:
    if isinstance(space, spaces.Discrete):
        return "discrete"
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating) and space.shape:
        return "continuous" if space.is_bounded("both") else "other"
    return "other"
