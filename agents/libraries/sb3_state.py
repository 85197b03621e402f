"""What the state of a model of Stable-Baselines3 is made of, as named arrays that a checkpoint holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from envs.vectors.vector import Arrays
from training.state import State


def is_own(name: str, value: Any) -> bool:
    """Whether an attribute of a model is what it has come to: a count, or a variable such as SAC's log_ent_coef.

    The budget is the run's, the time of day nobody's.
    """
    if name in ("_total_timesteps", "start_time"):
        return False
    return isinstance(value, torch.Tensor) or (isinstance(value, int | float) and not isinstance(value, bool))


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
    """The inverse of `filled`."""
    for name, value in _columns(buffer).items():
        value[: len(saved["arrays"][name])] = saved["arrays"][name]
    buffer.pos, buffer.full = saved["pos"], saved["full"]


def _columns(buffer: Any) -> Arrays:
    """Every array of a replay buffer, [size, N, ...]."""
    columns: Arrays = {}
    for name, value in vars(buffer).items():
        if isinstance(value, dict):
            columns |= {f"{name}/{key}": part for key, part in value.items() if isinstance(part, np.ndarray)}
        elif isinstance(value, np.ndarray):
            columns[name] = value
    return columns
