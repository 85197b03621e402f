"""Finds what a config names: modules and what is in them, and the packages whose environments have ids of their own."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import gymnasium as gym

from envs.robotics import make_robotics_run
from training.errors import UserError
from training.extras import install_command


class Package(NamedTuple):
    """A package whose environments are registered once its module has been imported."""

    ids: str
    """A pattern that the ids of its environments begin with."""
    module: str
    extra: str
    """Of this project, in which it comes."""
    prepare: Callable[[ModuleType], None] | None = None
    """What is left to do once the module has been imported; doing it twice is fine."""


def _quiet_atari(ale_py: ModuleType) -> None:
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # otherwise each process introduces itself


def _register_minatar(minatar_gym: ModuleType) -> None:
    if not any(name.startswith("MinAtar/") for name in gym.registry):
        minatar_gym.register_envs()
        for name, spec in gym.registry.items():
            if name.startswith("MinAtar/"):
                spec.entry_point = "envs.minatar:MinAtar"


PACKAGES = (
    Package(r"ALE/|\w+NoFrameskip-v\d", "ale_py", "games", _quiet_atari),
    Package(r"MinAtar/", "minatar.gym", "games", _register_minatar),
    Package(r"MiniGrid-|BabyAI-", "minigrid", "games"),
    Package(
        r"Fetch|Hand(Reach|Manipulate)|AdroitHand|FrankaKitchen|PointMaze_|AntMaze_",
        "gymnasium_robotics",
        "robotics",
        lambda _: make_robotics_run(),
    ),
    # Their environments have no ids of their own: `mpe2.simple_spread_v3:parallel_env`.
    Package(r"(?!)", "mpe2", "multiagent"),
    Package(r"(?!)", "pettingzoo", "multiagent"),
)


def module_of(name: str) -> str:
    """The module that registers the environment of an id, if that has not happened yet; "" where none is known."""
    known = (package.module for package in PACKAGES if re.match(package.ids, name))
    return "" if name in gym.registry else next(known, "")


def import_module(name: str) -> ModuleType:
    """A module, ready to make environments."""
    # pygame, which some of them import, greets on stdout.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    module = importlib.import_module(name)
    for package in PACKAGES:
        if package.module == name and package.prepare is not None:
            package.prepare(module)
    return module


def import_or_complain(name: str, key: str, value: str) -> ModuleType:
    """`import_module`; raises UserError, which begins with the key and the value of a config, where that fails."""
    try:
        return import_module(name)
    except ImportError as error:
        first_line = str(error).split("\n", 1)[0]
        extras = [package.extra for package in PACKAGES if _root(package.module) == _root(name)]
        hint = f"; install it: {install_command(extras[0])}" if extras else ""
        raise UserError(f"{key} = {value!r}: cannot import {name!r} ({first_line}){hint}", key=key) from error


def _root(module: str) -> str:
    return module.partition(".")[0]
