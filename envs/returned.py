"""What an environment returned, held against Gymnasium's contract for `reset` and `step`.

Each raises ContractError with what came back. A number or a truth may also be one of NumPy's or an array of one entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


# Every step of every environment comes through here: the usual types are looked at first.
_SEVERAL = (tuple, list)
_INFO = (dict, Mapping)


class ContractError(ValueError):
    """An environment returned something else than Gymnasium's contract says."""


def of_reset(returned: Any) -> tuple[Any, Mapping[str, Any]]:
    """Observation and info of a reset."""
    if not isinstance(returned, _SEVERAL) or len(returned) != 2 or not isinstance(returned[1], _INFO):
        raise ContractError(f"its reset returned {_told(returned)}: it takes (observation, info), and info is a dict")
    obs, info = returned
    return obs, info


def of_step(returned: Any) -> tuple[Any, float, bool, bool, Mapping[str, Any]]:
    """The values of a step."""
    if not isinstance(returned, _SEVERAL) or len(returned) != 5:
        takes = "(observation, reward, terminated, truncated, info)"
        raise ContractError(f"its step returned {_told(returned)}: it takes {takes}")
    obs, reward, terminated, truncated, info = returned
    if not isinstance(info, _INFO):
        raise ContractError(f"its info is {_told(info)}: it takes a dict")
    if not (isinstance(reward, float) and math.isfinite(reward)):
        reward = _reward(reward)
    if not isinstance(terminated, bool):
        terminated = _truth("terminated", terminated)
    if not isinstance(truncated, bool):
        truncated = _truth("truncated", truncated)
    return obs, reward, terminated, truncated, info


def of_vector_step(returned: Any, num_envs: int) -> tuple[Any, Array, Array, Array, Mapping[str, Any]]:
    """The values of a step of a vector environment: rewards and ends are arrays [N]."""
    if not isinstance(returned, _SEVERAL) or len(returned) != 5:
        takes = "(observations, rewards, terminated, truncated, info)"
        raise ContractError(f"its step returned {_told(returned)}: it takes {takes}")
    obs, *parts, info = returned
    if not isinstance(info, _INFO):
        raise ContractError(f"its info is {_told(info)}: it takes a dict")
    arrays = [np.asarray(part) for part in parts]
    for name, array in zip(("rewards", "terminated", "truncated"), arrays, strict=True):
        if array.shape != (num_envs,) or array.dtype.kind not in ("biuf" if name == "rewards" else "biu"):
            raise ContractError(f"its {name} are {array.dtype} of shape {array.shape}: it takes {num_envs} of them")
    return obs, arrays[0].astype(np.float64), arrays[1].astype(np.bool_), arrays[2].astype(np.bool_), info


def _reward(value: Any) -> float:
    number = _number(value)
    if number is None:
        raise ContractError(f"its reward is not a number: {_told(value)}")
    if not math.isfinite(number):
        raise ContractError(f"its reward is {number}")
    return number


def _truth(name: str, value: Any) -> bool:
    if isinstance(value, np.bool_):
        return bool(value)
    number = _number(value)
    if number not in (0, 1):
        raise ContractError(f"its {name} is {_told(value)}: it takes True or False")
    return bool(number)


def _number(value: Any) -> float | None:
    """One number, or an array of one; None for anything else, such as a text that could be read as one."""
    try:
        item = value if isinstance(value, int) else np.asarray(value).item()
        return None if isinstance(item, str | bytes | complex) else float(item)
    except (TypeError, ValueError, OverflowError):
        return None


def _told(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"{len(value)} values ({', '.join(type(part).__name__ for part in value)})"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}" if value.size != 1 else f"{value!r}"
    return f"{value!r} ({type(value).__name__})" if value is not None else "None"
