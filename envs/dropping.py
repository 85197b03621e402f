"""Leaves parts out of an observation that is a dict, and refuses what no network takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation

from training.errors import UserError
from training.names import nearest_hint

Space = gym.Space[Any]
ARRAYS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def without(env: gym.Env[Any, Any], names: Sequence[str], env_id: str) -> gym.Env[Any, Any]:
    """The environment without the parts of its observation that have these names; `a/b` is `b` inside of `a`.

    Raises UserError where there is no such part, or nothing would be left.
    """
    space = env.observation_space
    known = [name for name, _, _ in _parts(space)]
    for name in names:
        if name not in known:
            hint = nearest_hint(name, known) if known else "; it observes no dict"
            raise UserError(f"env.drop = {tuple(names)!r}: {env_id} observes no {name!r}{hint}")
    kept = _kept(space, names, "")
    if all(isinstance(part, spaces.Dict) for _, part, _ in _parts(kept)):
        raise UserError(f"env.drop = {tuple(names)!r}: nothing would be left of what {env_id} observes")
    return TransformObservation(env, lambda obs: _part_of(kept, obs), kept)


def require_arrays(space: Space, env_id: str) -> None:
    """Raises UserError for an observation of which a part has no arrays of a fixed size: text, sequences, graphs."""
    for name, part, can_drop in unreadable(space):
        where = f"{name!r}, a {type(part).__name__}" if name else f"a {type(part).__name__}"
        drop = f"--env.drop {name} leaves it out, " if can_drop else ""
        what = f"it observes {where} space, which no network takes: {drop}a wrapper (--env.wrappers) may make numbers"
        raise UserError(f"env.id = {env_id!r}: {what} of it", key="drop")


def unreadable(space: Space) -> list[tuple[str, Space, bool]]:
    """The parts that have no arrays of a fixed size: name, space and whether it can be left out."""
    parts = list(_parts(space)) if isinstance(space, spaces.Dict | spaces.Tuple) else [("", space, False)]
    return [one for one in parts if not isinstance(one[1], (*ARRAYS, spaces.Dict, spaces.Tuple))]


def _parts(space: Space, prefix: str = "", *, in_dicts: bool = True) -> Iterator[tuple[str, Space, bool]]:
    """All that is inside of a space, with its name and whether only dicts lead there."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        in_dicts = in_dicts and isinstance(space, spaces.Dict)
        inside = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in inside:
            yield f"{prefix}{key}", part, in_dicts
            yield from _parts(part, f"{prefix}{key}/", in_dicts=in_dicts)


def _kept(space: Space, names: Sequence[str], prefix: str) -> spaces.Dict:
    kept: dict[str, Space] = {}
    assert isinstance(space, spaces.Dict)
    for key, part in space.spaces.items():
        if (name := f"{prefix}{key}") not in names:
            kept[key] = _kept(part, names, f"{name}/") if isinstance(part, spaces.Dict) else part
    return spaces.Dict(kept)


def _part_of(kept: Space, obs: Any) -> Any:
    if not isinstance(kept, spaces.Dict):
        return obs
    return {key: _part_of(part, obs[key]) for key, part in kept.spaces.items()}
