"""What the state of a model of Stable-Baselines3 is made of, as named arrays that a checkpoint holds.

No list says what was learned and what was asked for: saved is what is other than when the model was made, and
loading leaves all the rest as the config made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from envs.vectors.vector import Arrays
from training.errors import UserError
from training.state import State


def own_values(model: BaseAlgorithm) -> dict[str, Any]:
    """Its numbers and variables: counts, SAC's log_ent_coef, and its arguments.

    The budget is the run's, the time of day nobody's.
    """
    return {
        name: value
        for name, value in vars(model).items()
        if name not in ("_total_timesteps", "start_time")
        and (isinstance(value, torch.Tensor) or (isinstance(value, int | float) and not isinstance(value, bool)))
    }


def copied(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are now, whatever becomes of them."""
    return {
        name: value.detach().clone() if isinstance(value, torch.Tensor) else deepcopy(value)
        for name, value in values.items()
    }


def changed(values: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are others than when they were made."""
    return {name: value for name, value in values.items() if name not in made or not _same(value, made[name])}


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(value, other)
    return bool(np.array_equal(value, other))


def noises_of(model: BaseAlgorithm) -> list[Any]:
    """What makes actions random and remembers something: gSDE's matrices, Ornstein-Uhlenbeck noise."""
    distributions = [
        getattr(part, "action_dist", None) for part in (model.policy, getattr(model.policy, "actor", None))
    ]
    noise = model.action_noise
    added = [] if noise is None else getattr(noise, "noises", [noise])
    return [*(part for part in distributions if hasattr(part, "exploration_mat")), *added]


def arrays_of(part: Any) -> dict[str, Any]:
    """What a part, such as a noise, remembers."""
    return {name: value for name, value in vars(part).items() if isinstance(value, torch.Tensor | np.ndarray)}


def plain(value: Any) -> Any:
    """Named tuples as tuples, which is what a checkpoint holds."""
    return tuple(map(plain, value)) if isinstance(value, tuple) else value


def as_before(before: Any, value: Any) -> Any:
    """The inverse of `plain`, for what has the type, and the device, already."""
    if not isinstance(before, tuple):
        return value.to(before.device)
    parts = [as_before(part, saved) for part, saved in zip(before, value, strict=True)]
    return type(before)(*parts) if hasattr(before, "_fields") else tuple(parts)


def replay_of(model: BaseAlgorithm) -> Any:
    """Its replay buffer; None for those that learn on-policy."""
    return getattr(model, "replay_buffer", None)


def buffer_bytes(model: BaseAlgorithm) -> int:
    """Of its replay or rollout buffer; it is allocated already, but takes no memory before it is filled."""
    buffer = getattr(model, "replay_buffer", getattr(model, "rollout_buffer", None))
    return 0 if buffer is None else sum(array.nbytes for array in _columns(buffer).values())


def filled(buffer: Any) -> State:
    """The arrays of a replay buffer, as far as they are filled, and where it goes on."""
    # One row more: where next observations are not kept twice, they are in the row after.
    rows = buffer.buffer_size if buffer.full else min(buffer.pos + 1, buffer.buffer_size)
    arrays = {name: value[:rows] for name, value in _columns(buffer).items()}
    return {"arrays": arrays, "pos": buffer.pos, "full": buffer.full}


def fill(buffer: Any, saved: State) -> None:
    """The inverse of `filled`; a buffer of another size goes on with the newest of it, in their order.

    Raises UserError where the buffer keeps other things.
    """
    columns, arrays = _columns(buffer), saved["arrays"]
    if columns.keys() != arrays.keys():
        told = ", ".join(sorted(columns.keys() ^ arrays.keys()))
        raise UserError(f"the replay buffer keeps other things than the saved one: only one of them has {told}")
    rows = len(next(iter(arrays.values())))
    same_ring = rows == buffer.buffer_size if saved["full"] else rows <= buffer.buffer_size
    if same_ring:
        for name, value in columns.items():
            value[:rows] = arrays[name]
        buffer.pos, buffer.full = saved["pos"], saved["full"]
        return
    # Where next observations are not kept twice, that of the newest transition is in the row after it.
    after = int(buffer.optimize_memory_usage)
    held = rows - after if saved["full"] else saved["pos"]
    kept = min(held, buffer.buffer_size - after)
    newest = (saved["pos"] - kept + np.arange(kept + after)) % rows
    for name, value in columns.items():
        value[: kept + after] = arrays[name][newest]
    buffer.pos, buffer.full = kept % buffer.buffer_size, kept == buffer.buffer_size


def _columns(buffer: Any) -> Arrays:
    """Every array of a replay buffer, [size, N, ...]."""
    columns: Arrays = {}
    for name, value in vars(buffer).items():
        if isinstance(value, dict):
            columns |= {f"{name}/{key}": part for key, part in value.items() if isinstance(part, np.ndarray)}
        elif isinstance(value, np.ndarray):
            columns[name] = value
    return columns
