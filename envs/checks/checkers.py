"""The checkers of Gymnasium and of Stable-Baselines3, whose warnings and complaints become findings."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Callable
from contextlib import closing
from typing import Any

import gymnasium as gym
from gymnasium.utils.env_checker import check_env

from envs.checks.findings import Finding, one_line, place_of
from envs.config import EnvConfig
from envs.single import make_env

ALIKE = 0.8
"""From here on two lines say the same."""
OURS = (
    r"symmetric|\[-1, 1\]",
    r"infinity|unbounded|is equal to the (minimum|maximum)",
    r"image|CNN|uint8|grayscale",
    r"float64|float32|precision",
    r"starts? at|non-zero start|start value",
    r"render|human mode",
    r"spec|different environment|disable_env_checker",
    r"use a `?VecNormalize|flatten",
    r"\bnan\b|\binf\b",
    r"not within the observation space|does not match the given observation space|obs.* (shape|dtype)",
)
"""What is asked here too and said with what to change, or is of no concern: images, ranges, starts, pictures, numbers
that are not finite or outside."""


def check_with_libraries(config: EnvConfig, found: list[Finding]) -> list[Finding]:
    """What both of them say that was not found before."""
    new: list[Finding] = []
    gymnasium = lambda env: check_env(env, skip_render_check=True)  # noqa: E731
    _ask(config, "Gymnasium's checker", gymnasium, found, new, failure="wrong")
    from stable_baselines3.common.env_checker import check_env as check_for_sb3

    for_sb3 = lambda env: check_for_sb3(env, warn=True, skip_render_check=True)  # noqa: E731
    _ask(config, "Stable-Baselines3's checker", for_sb3, found, new, failure="advice")
    if not new:
        new.append(Finding("ok", "checkers", "Gymnasium's and Stable-Baselines3's say nothing else"))
    return new


def _ask(
    config: EnvConfig,
    name: str,
    check: Callable[[gym.Env[Any, Any]], None],
    found: list[Finding],
    new: list[Finding],
    *,
    failure: Any,
) -> None:
    with warnings.catch_warnings(record=True) as told, closing(make_env(config)) as env:
        warnings.simplefilter("always")
        try:
            check(env.unwrapped)
        except Exception as error:
            # What an environment breaks with has been found already, or else its checker has a complaint.
            if not any(one.level == "wrong" for one in found):
                where = place_of(error)
                line = f"{name}: {one_line(error) or type(error).__name__}"
                if not any(_says_the_same(line, one.says) for one in new):
                    is_fault = where is not None and "env_checker" not in where
                    new.append(
                        Finding("wrong" if is_fault else failure, "checkers", line, f"see {where}" if is_fault else "")
                    )
    for warning in told:
        line = _plain(str(warning.message))
        if any(re.search(pattern, line, re.IGNORECASE) for pattern in OURS):
            continue
        if not any(_says_the_same(line, one.says) for one in new):
            new.append(Finding("advice", "checkers", f"{name}: {line}"))


def _plain(message: str) -> str:
    """Without colours and the word that comes before."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", message).split()).removeprefix("WARN: ")


def _says_the_same(line: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, line.partition(": ")[2], other.partition(": ")[2]).ratio() > ALIKE
