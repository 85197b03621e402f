"""Notices a wrapper that carries something from one episode into the next, such as a running mean.

An episode is restored by a reset and its actions, in an environment that has just been made: what its wrappers saw in
earlier episodes is lost. So the same episode is begun twice by one instance. Those of Gymnasium's wrappers that keep
statistics are known by their class too, since rewards that are 0 at first show nothing. What a wrapper carries on
and shows later than in the first steps is found where an episode is restored.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import NormalizeObservation, NormalizeReward

from envs.config import EnvConfig
from envs.dropping import unreadable
from envs.hidden_randomness import beginning_of, difference
from envs.making import find_batched, make_vec
from envs.single import bare_space, make_env
from envs.vectors.vector import EnvFault
from training.errors import UserError

INSTEAD = {NormalizeObservation: "policy.normalize_observation", NormalizeReward: "scale_reward"}
"""What does the same outside of the environment, where it is saved."""


def wrapper_memory(config: EnvConfig, *, seed: int) -> str | None:
    """One line that names the wrapper that remembers earlier episodes, and what to use instead; None where none does.

    Batched environments have no wrappers, native vector environments start anew anyway, and where every episode has a
    new instance it has new wrappers. An environment that breaks is not judged: it will break again where its fault is
    told.
    """
    if config.has_reset_transitions or config.needs_fresh_instance or find_batched(config) is not None:
        return None
    try:
        known = _known(config)
    except UserError:
        return None
    told = f"{config.id}: the wrapper {{!r}} carries something from one episode into the next, which no resume restores"
    if known is not None:
        return f"{told.format(known.__name__)}; use {INSTEAD[known]} instead"
    if not config.wrappers or _differs(config, seed) is None:
        return None
    for count in range(len(config.wrappers) + 1):
        differs = _differs(_inner(config, count), seed)
        if differs is not None and count:
            what = f"the same episode, begun again, gives another {differs}"
            more = "its reset must forget, and statistics are for the policy to keep"
            return f"{told.format(config.wrappers[count - 1])} ({what}); {more}"
        if differs is not None:  # it is the environment that does, which is found where one is restored
            return None
    return None


def _known(config: EnvConfig) -> type[gym.Wrapper[Any, Any, Any, Any]] | None:
    """The class of the innermost wrapper that is one of those that keep statistics."""
    with closing(make_env(config)) as env:
        layers = []
        while isinstance(env, gym.Wrapper):
            layers.append(env)
            env = env.env
    return next((kind for layer in reversed(layers) for kind in INSTEAD if isinstance(layer, kind)), None)


def _differs(config: EnvConfig, seed: int) -> str | None:
    """What is another when one instance begins the same episode twice; None where nothing is, or it fails."""
    try:
        with closing(make_vec(replace(config, backend="in-process"), 1, seed=seed)) as vec:
            first = list(beginning_of(vec, np.random.default_rng(seed)))
            return difference(first, list(beginning_of(vec, np.random.default_rng(seed))))
    except (EnvFault, UserError):
        return None


def _inner(config: EnvConfig, count: int) -> EnvConfig:
    """With the innermost wrappers alone, and without what no array can hold before all of them are there."""
    inner = replace(config, wrappers=config.wrappers[:count], drop=(), observation_indices=None, frame_stack=1)
    try:
        return replace(inner, drop=tuple(name for name, _, _ in unreadable(bare_space(inner))))
    except UserError:
        return inner
