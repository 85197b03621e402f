"""Notices an environment that does not draw its randomness from its seed: the run cannot be repeated then.

The same episode is begun twice, each time by a new instance, and a few steps are taken. In this process the global
generators (`random`, NumPy's, torch's) have other states the second time; worker processes are new ones, with other
states of their own. That is asked once for a run, and not for each environment, worker or evaluation: it costs three
instances, one after the other, and two resets, beside all those that a run has (`num_envs`, `evaluation.num_envs`).
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from envs.config import EnvConfig
from envs.jitted import jitted_class
from envs.making import BATCHED, Spaces, find_batched, make_vec, spaces_of
from envs.masks import draw_allowed, mask_parts
from envs.spaces import Leaf, flatten, leaves
from envs.vectors.vector import Arrays, EnvFault, VectorEnv, named
from training.errors import UserError

STEPS = 10
"""Enough for what is drawn in every step; what is drawn seldom is found where an episode is restored."""


class GlobalGenerator(NamedTuple):
    """One of the generators that every part of a process shares."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], None]
    seed: Callable[[int], Any]


def hidden_randomness(config: EnvConfig, *, seed: int) -> str | None:
    """One line that says what differs between two beginnings of the same episode; None where nothing does.

    The batched environments of ours have no such randomness, and native vector environments start anew anyway. An
    environment that breaks is not judged: it will break again where its fault is told.
    """
    if config.has_reset_transitions or (config.spec.id in BATCHED and find_batched(config) is not None):
        return None
    if jitted_class(config.spec) is not None:
        config = replace(config, backend="in-process")
    try:
        spaces = spaces_of(config)
        first, moved = _beginning(config, spaces, seed, global_seed=1)
        again, _ = _beginning(config, spaces, seed, global_seed=2)
    except (EnvFault, UserError):
        return None
    differs = difference(first, again)
    if differs is None:
        return None
    source = f"it draws from {' and '.join(moved)}" if moved else "its randomness is not that of its seed"
    return f"{config.id}: the same seed gives another {differs}: {source}"


def difference(first: list[Arrays], again: list[Arrays]) -> str | None:
    """What is another in two beginnings of an episode, and where; None where nothing is."""
    for step, (one, other) in enumerate(zip(first, again, strict=True)):
        for what, value in one.items():
            if not np.array_equal(value, other[what]):
                return f"{what} at step {step}" if step else f"{what} at the reset"
    return None


def _beginning(config: EnvConfig, spaces: Spaces, seed: int, *, global_seed: int) -> tuple[list[Arrays], list[str]]:
    """What the first steps give, beginning with a reset, and which global generators of this process they moved."""
    with _seeded(global_seed) as moved, closing(make_vec(config, 1, seed=seed, spaces=spaces)) as vec:
        return list(beginning_of(vec, np.random.default_rng(seed))), moved()


def beginning_of(vec: VectorEnv, rng: np.random.Generator) -> Iterator[Arrays]:
    """What a reset and the next steps give, with actions that are drawn."""
    action_leaves = leaves(vec.action_space)
    vec.action_space.seed(int(rng.integers(2**31)))
    step = vec.reset()
    for number in range(STEPS + 1):
        if number:
            step = vec.step(_some_action(vec, action_leaves, step.action_mask, rng))
        observed = {key.replace("obs", "observation", 1): array.copy() for key, array in step.obs.items()}
        yield {**observed, "reward": step.reward, "end": step.terminated | step.truncated}


def _some_action(
    vec: VectorEnv, action_leaves: tuple[Leaf, ...], mask: np.ndarray[Any, Any] | None, rng: np.random.Generator
) -> Arrays:
    if mask is not None:
        (leaf,) = action_leaves
        drawn = [draw_allowed(mask_parts(leaf.space), row, rng).reshape(leaf.shape) for row in mask]
        return {"action": np.stack(drawn)}
    sampled = [flatten(action_leaves, vec.action_space.sample()) for _ in range(vec.num_envs)]  # a row of each agent
    return {named("action", name): np.stack([row[name] for row in sampled]) for name in sampled[0]}


def _global_generators() -> list[GlobalGenerator]:
    own = [
        GlobalGenerator("random", random.getstate, random.setstate, random.seed),
        GlobalGenerator("np.random", np.random.get_state, np.random.set_state, np.random.seed),
    ]
    torch = sys.modules.get("torch")  # an environment that draws from it has imported it
    if torch is None:
        return own
    seed = torch.default_generator.manual_seed  # `torch.manual_seed` would seed those of every GPU too
    return [*own, GlobalGenerator("torch", torch.get_rng_state, torch.set_rng_state, seed)]


@contextmanager
def _seeded(seed: int) -> Iterator[Callable[[], list[str]]]:
    """Inside, the global generators are others; gives a function that names those that have moved since."""
    generators = _global_generators()
    before = [one.get() for one in generators]
    for one in generators:
        one.seed(seed)
    began = [_comparable(one.get()) for one in generators]
    try:
        yield lambda: [one.name for one, at in zip(generators, began, strict=True) if _comparable(one.get()) != at]
    finally:
        for one, state in zip(generators, before, strict=True):
            one.put(state)


def _comparable(state: Any) -> Any:
    """A state whose parts can be compared with ==."""
    if isinstance(state, tuple):
        return tuple(map(_comparable, state))
    return state.tolist() if hasattr(state, "tolist") else state
