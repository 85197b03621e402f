"""Spaces as plain JSON: saved with a policy, rebuilt without the environment's code."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from training.errors import UserError


def space_to_json(space: gym.Space[Any]) -> dict[str, Any]:
    """A description that `json` writes and `space_from_json` reads back exactly; infinities are the strings "inf" and
    "-inf", as JSON has none. Raises UserError for a space that the platform does not take."""
    if isinstance(space, spaces.Box):
        low, high = _numbers_to_json(space.low), _numbers_to_json(space.high)
        return {"kind": "Box", "shape": list(space.shape), "dtype": str(space.dtype), "low": low, "high": high}
    if isinstance(space, spaces.Discrete):
        return {"kind": "Discrete", "n": int(space.n), "start": int(space.start), "dtype": str(space.dtype)}
    if isinstance(space, spaces.MultiDiscrete):
        counts, start = space.nvec.tolist(), space.start.tolist()
        return {"kind": "MultiDiscrete", "nvec": counts, "start": start, "dtype": str(space.dtype)}
    if isinstance(space, spaces.MultiBinary):
        # Gymnasium holds MultiBinary(3) and MultiBinary((3,)) for different spaces.
        return {"kind": "MultiBinary", "n": space.n if isinstance(space.n, int) else [int(n) for n in space.n]}
    if isinstance(space, spaces.Dict):
        return {"kind": "Dict", "spaces": [[key, space_to_json(part)] for key, part in space.spaces.items()]}
    if isinstance(space, spaces.Tuple):
        return {"kind": "Tuple", "spaces": [space_to_json(part) for part in space.spaces]}
    raise UserError(f"{type(space).__name__} space: it takes Box, Discrete, MultiDiscrete, MultiBinary, Dict or Tuple")


def space_from_json(saved: dict[str, Any]) -> gym.Space[Any]:
    """The space that `space_to_json` described; raises UserError for an unknown kind."""
    kind = saved["kind"]
    if kind == "Box":
        shape, dtype = tuple(saved["shape"]), np.dtype(saved["dtype"])
        low, high = (_numbers_from_json(saved[bound], shape, dtype) for bound in ("low", "high"))
        return spaces.Box(low, high, shape, dtype.type)
    if kind == "Discrete":
        return spaces.Discrete(saved["n"], start=saved["start"], dtype=np.dtype(saved["dtype"]).type)
    if kind == "MultiDiscrete":
        counts, start = np.asarray(saved["nvec"]), np.asarray(saved["start"])
        return spaces.MultiDiscrete(counts, dtype=np.dtype(saved["dtype"]).type, start=start)
    if kind == "MultiBinary":
        return spaces.MultiBinary(saved["n"] if isinstance(saved["n"], int) else tuple(saved["n"]))
    if kind == "Dict":
        return spaces.Dict([(key, space_from_json(part)) for key, part in saved["spaces"]])
    if kind == "Tuple":
        return spaces.Tuple([space_from_json(part) for part in saved["spaces"]])
    raise UserError(
        f"a saved space has kind = {kind!r}: it takes Box, Discrete, MultiDiscrete, MultiBinary, Dict, Tuple"
    )


def _numbers_to_json(values: NDArray[Any]) -> Any:
    """One number where all are the same (images), otherwise a flat list."""
    flat = [number if np.isfinite(number) else str(number) for number in values.ravel().tolist()]
    return flat[0] if flat and all(number == flat[0] for number in flat) else flat


def _numbers_from_json(saved: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    flat = saved if isinstance(saved, list) else [saved] * int(np.prod(shape))
    return np.array([dtype.type(number) for number in flat], dtype).reshape(shape)
