"""Plays an environment at random for a while, and notes what the checks judge: no more than sums, however long."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import psutil
from numpy.typing import NDArray

from envs.config import EnvConfig
from envs.masks import draw_allowed, mask_array, mask_parts
from envs.returned import ContractError, of_reset, of_step
from envs.single import make_env
from envs.spaces import Leaf, SpaceError, leaves, unflatten
from envs.vectors.vector import episode_seed

WARM_UP_STEPS = 1_000
"""Before memory is looked at: caches fill at first."""


class Ended(NamedTuple):
    """An episode that ended."""

    length: int
    total_reward: float
    terminated: bool
    truncated: bool


@dataclass
class Sample:
    """What was seen in `steps` env steps."""

    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]
    steps: int = 0
    step_seconds: float = 0.0
    """Inside the environment."""
    ended: list[Ended] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    low: dict[str, NDArray[Any]] = field(default_factory=dict)
    """By leaf, the smallest value of each entry."""
    high: dict[str, NDArray[Any]] = field(default_factory=dict)
    masks: int = 0
    allowed: int = 0
    """Actions that the masks allowed, added up."""
    grown_bytes: int = 0
    """Of memory, in `grown_steps`."""
    grown_steps: int = 0


def play(config: EnvConfig, sample: Sample, *, seed: int, seconds: float, steps: int) -> None:
    """Adds steps to the sample until one of the bounds is reached; whatever the environment raises comes through."""
    rng, memory = np.random.default_rng(seed), psutil.Process()
    observed = leaves(sample.observation_space)
    until, before = time.monotonic() + seconds, None
    sample.action_space.seed(seed)
    with closing(make_env(config)) as env:
        while sample.steps < steps and time.monotonic() < until:
            obs, info = of_reset(env.reset(seed=episode_seed(seed, 0, len(sample.ended))))
            _note(sample, observed, obs, info)
            total, length = 0.0, 0
            while sample.steps < steps and time.monotonic() < until:
                action = some_action(sample.action_space, info, rng)
                began = time.perf_counter()
                returned = env.step(action)
                sample.step_seconds += time.perf_counter() - began
                obs, reward, terminated, truncated, info = of_step(returned)
                total, length = total + reward, length + 1
                sample.steps += 1
                sample.rewards.append(reward)
                _note(sample, observed, obs, info, is_last=terminated or truncated)
                if sample.steps == WARM_UP_STEPS:
                    before = memory.memory_info().rss
                if terminated or truncated:
                    sample.ended.append(Ended(length, total, terminated, truncated))
                    break
        if before is not None:
            sample.grown_bytes = memory.memory_info().rss - before
            sample.grown_steps = sample.steps - WARM_UP_STEPS


def some_action(space: gym.Space[Any], info: Mapping[str, Any], rng: np.random.Generator) -> Any:
    """A random action for the environment; one that its mask allows where it reports one."""
    mask = info.get("action_mask")
    if mask is None or not mask_parts(space):
        return space.sample()
    (leaf,) = leaves(space)
    drawn = draw_allowed(mask_parts(space), mask_array(space, mask), rng).reshape(leaf.shape)
    return unflatten(space, (leaf,), {"": drawn})


def fingerprint(parts: tuple[Leaf, ...], obs: Any) -> bytes:
    """The same for the same observation only, however large it is."""
    return b"".join(np.ascontiguousarray(leaf.part(obs)).tobytes() for leaf in parts)


def _note(
    sample: Sample, observed: tuple[Leaf, ...], obs: Any, info: Mapping[str, Any], *, is_last: bool = False
) -> None:
    for leaf in observed:
        try:
            value = leaf.encode(leaf.part(obs))
        except (SpaceError, ValueError, TypeError) as error:
            raise ContractError(f"its observation broke its space: {error}") from error
        low, high = sample.low.get(leaf.name, value), sample.high.get(leaf.name, value)
        sample.low[leaf.name], sample.high[leaf.name] = np.minimum(low, value), np.maximum(high, value)
    if "action_mask" in info and not is_last:
        sample.masks += 1
        sample.allowed += int(mask_array(sample.action_space, info["action_mask"]).sum())
