"""Which encoder takes what is observed, and what of its range or layout makes learning hard; the range of actions."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs.checks.findings import Finding
from envs.checks.sample import Sample, fingerprint
from envs.config import EnvConfig
from envs.single import make_env
from envs.spaces import Leaf, leaves, unflatten
from envs.vectors.vector import episode_seed
from training.errors import UserError

LARGE = 10.0
"""Perceptrons learn best from numbers of about 1."""
MANY = 10_000
"""Numbers in a flat observation from which on it is likely a picture."""
SMALLEST_IMAGE = 36
"""Of the default convolutions (cnn = 'nature')."""
TRIED = 12
"""Parts of an action that are tried one by one."""
STEPS = 8


def check_observations(space: gym.Space[Any], sample: Sample) -> Iterator[Finding]:
    """Of every leaf: raises UserError for a space that has no arrays, such as Text and Sequence."""
    for leaf in leaves(space):
        name = f"the observation {leaf.name!r}" if leaf.name else "the observation"
        box = leaf.space
        if isinstance(box, spaces.Box):
            yield from _image(name, leaf) if _is_picture(box) else _numbers(name, leaf, sample)
        else:
            yield Finding("ok", "spaces", f"{name} is {box}: one-hot, or zeros and ones")


def check_actions(space: gym.Space[Any]) -> Iterator[Finding]:
    """Whether agents can act in the space, and which ones."""
    for leaf in leaves(space):
        name, box = f"the action {leaf.name!r}" if leaf.name else "the action", leaf.space
        if not isinstance(box, spaces.Box):
            yield Finding("ok", "actions", f"{name} is {box}")
        elif not np.issubdtype(box.dtype, np.floating):
            change = "take a MultiDiscrete for whole numbers, or a Box of float32"
            yield Finding("wrong", "actions", f"{name} is {box}, and agents give a Box floats alone", change)
        elif not box.is_bounded("both"):
            change = "give it bounds: SAC, TD3 and DDPG take no other, and PPO then learns in [-1, 1]"
            yield Finding("advice", "actions", f"{name} is {box}, without bounds", change)
        elif np.any(box.low >= box.high):
            change = "leave that part out, or give it a range"
            yield Finding("wrong", "actions", f"{name} has a part whose range is empty: {box}", change)
        else:
            low, high = box.low.min(), box.high.max()
            how = "" if np.all(box.low == -1) and np.all(box.high == 1) else ": learned in [-1, 1] and rescaled"
            yield Finding("ok", "actions", f"{name} is {int(np.prod(box.shape))} numbers in [{low:g}, {high:g}]{how}")


def check_effects(config: EnvConfig, space: gym.Space[Any], *, seed: int, seconds: float) -> Iterator[Finding]:
    """Tries every part of an action at its ends from the same beginning: one that changes nothing is told."""
    until, parts = time.monotonic() + seconds, leaves(space)
    with closing(make_env(config)) as env:
        for leaf in parts:
            for index in itertools.islice(np.ndindex(leaf.shape), TRIED):
                ends = _ends(leaf, index)
                seen = []
                for value in ends:
                    if time.monotonic() > until:
                        return
                    seen.append(
                        [_episode(env, space, parts, leaf, index, value, episode_seed(seed, 0, n)) for n in (0, 1)]
                    )
                same = [value for value, one in zip(ends, seen, strict=True) if one == seen[0]]
                if len(ends) > 1 and len(same) == len(ends):
                    where = f" {leaf.name!r}" if leaf.name else ""
                    which = f"part {list(index)} of the action{where}" if index else f"the action{where}"
                    says = f"{which} changes neither observation nor reward in {STEPS} steps from two beginnings"
                    yield Finding("advice", "actions", says, "leave it out, if it is never used")


def _ends(leaf: Leaf, index: tuple[int, ...]) -> list[float]:
    if leaf.counts is not None:
        return list(range(min(int(leaf.counts[index]), TRIED)))
    assert isinstance(leaf.space, spaces.Box)
    low, high = float(leaf.space.low[index]), float(leaf.space.high[index])
    return [max(low, -10.0), min(high, 10.0)]


def _episode(
    env: gym.Env[Any, Any],
    space: gym.Space[Any],
    parts: tuple[Leaf, ...],
    leaf: Leaf,
    index: tuple[int, ...],
    value: float,
    seed: int,
) -> list[bytes]:
    """What some steps give that all act alike."""
    arrays = {part.name: np.zeros(part.shape, part.dtype) for part in parts}
    for part in parts:
        if isinstance(part.space, spaces.Box):
            middle = (part.space.low.clip(-10, 10) + part.space.high.clip(-10, 10)) / 2
            arrays[part.name] = middle.astype(part.dtype)
    arrays[leaf.name][index] = value
    observed = leaves(env.observation_space)
    seen = [fingerprint(observed, env.reset(seed=seed)[0])]
    for _ in range(STEPS):
        obs, reward, terminated, truncated, _ = env.step(unflatten(space, parts, arrays))
        seen += [fingerprint(observed, obs), str((reward, terminated, truncated)).encode()]
        if terminated or truncated:
            break
    return seen


def _is_picture(box: spaces.Box) -> bool:
    return box.dtype == np.uint8 and 2 <= len(box.shape) <= 4


def _image(name: str, leaf: Leaf) -> Iterator[Finding]:
    shape = leaf.shape
    height, width, channels = _layout(shape)
    told = f"{name} is an image of shape {list(shape)}"
    if channels > 16 and len(shape) == 3:
        change = (
            "give [height, width, channels] or [channels, height, width]; one value for each place is [height, width]"
        )
        yield Finding("advice", "spaces", f"{told}: {channels} channels, neither first nor last are few", change)
    elif min(height, width) < SMALLEST_IMAGE:
        small = min(height, width) >= 5
        change = "--policy.network.cnn small" if small else "flatten it to a vector of float32"
        yield Finding("advice", "spaces", f"{told}, too small for the default convolutions", change)
    else:
        yield Finding("ok", "spaces", f"{told}, for convolutions: {height} x {width}, {channels} channels")
    box = leaf.space
    assert isinstance(box, spaces.Box)
    if np.any(box.low != 0) or np.any(box.high != 255):
        yield Finding(
            "advice", "spaces", f"{told} with bounds other than 0 and 255", "uint8 is divided by 255: use it all"
        )


def _layout(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, width and channels as the convolutions read them."""
    if len(shape) == 2:
        return shape[0], shape[1], 1
    *stack, first, middle, last = shape
    stacked = int(np.prod(stack)) if stack else 1
    return (first, middle, last * stacked) if last <= first else (middle, last, first * stacked)


def _numbers(name: str, leaf: Leaf, sample: Sample) -> Iterator[Finding]:
    box, count = leaf.space, int(np.prod(leaf.shape))
    assert isinstance(box, spaces.Box)
    if leaf.name not in sample.low or not count:
        return
    low, high = sample.low[leaf.name], sample.high[leaf.name]
    largest = max(abs(float(low.min())), abs(float(high.max())))
    span = f"seen from {low.min():g} to {high.max():g}"
    yield Finding("ok", "spaces", f"{name} is {count} numbers, for a perceptron; {span}")
    if len(leaf.shape) >= 2 and (count > MANY or (leaf.dtype == np.float32 and min(leaf.shape[:2]) >= SMALLEST_IMAGE)):
        change = "give a picture as uint8 from 0 to 255: then it is one for convolutions"
        yield Finding("advice", "spaces", f"{name} of shape {list(leaf.shape)} and {box.dtype} is flattened", change)
    if largest > LARGE and np.issubdtype(leaf.dtype, np.floating):
        says = f"{name} holds values up to {largest:g}; networks learn best from about 1"
        yield Finding("advice", "spaces", says, "--policy.normalize-observation true, or scale it in the environment")
    if box.dtype == np.float64:
        says = f"{name} is float64 and becomes float32, of about 7 digits"
        yield Finding("advice", "spaces", says, "declare it float32, so that nothing is converted in every step")
    if np.any(low < box.low.astype(leaf.dtype)) or np.any(high > box.high.astype(leaf.dtype)):
        says = f"{name} leaves its bounds: they are {box}, and seen was {largest:g}"
        yield Finding("advice", "spaces", says, "give the bounds that it keeps, or infinite ones")


def require_arrays(space: gym.Space[Any], what: str) -> list[Finding]:
    """A finding where the space is none of arrays of a fixed size, such as Text, Sequence and Graph."""
    try:
        leaves(space)
    except UserError as error:
        change = "give numbers of a fixed size: a Box, Discrete, MultiDiscrete or MultiBinary, or a Dict of them"
        return [Finding("wrong", what, f"no agent takes it: {error}", change)]
    return []
