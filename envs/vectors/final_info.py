"""The numbers that environments tell of an episode in the `info` of its last step: success, cost, where it came to.

Of a name that begins with "reward" or "cost" an episode's number is the sum over its steps, of any other name the value
at its end. Texts, arrays and what is not finite are left out, and so is all beyond `MAX_NUMBERS` names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FinalInfo = dict[str, float]
"""The numbers of one episode, by name."""

MAX_NUMBERS = 16
"""Of one episode."""
MAX_NAME = 48
"""Characters of a name."""
SUCCESS = ("is_success", "success")
"""Where there are too many names, these stay."""
NOT_TOLD = frozenset({"return", "length", "episodes", "TimeLimit.truncated", "env_id", "elapsed_step"})
"""Names of what is measured anyway, and what wrappers and EnvPool add for their own use."""
_NAME = re.compile(rf"(?!_)[\w./-]{{1,{MAX_NAME}}}")
_SUMMED = ("reward", "cost")
_ARRAY = (np.generic, np.ndarray)
_SCALAR = (int, float, *_ARRAY)


class EpisodeNumbers:
    """The numbers of the running episode of one environment."""

    def __init__(self) -> None:
        self._sums: FinalInfo = {}
        self._names: frozenset[object] = frozenset()
        self._summed: list[str] = []

    def begin(self) -> None:
        """Of another episode."""
        if self._sums:
            self._sums = {}

    def add(self, info: Mapping[str, Any]) -> None:
        """Takes the info of a step, which is not empty."""
        if info.keys() != self._names:
            self._names = frozenset(info)
            self._summed = [name for name in info if _is_told(name) and name.startswith(_SUMMED)]
        for name in self._summed:
            if (value := _number(info[name])) is not None:
                self._sums[name] = self._sums.get(name, 0.0) + value

    def at_end(self, info: Mapping[str, Any]) -> FinalInfo:
        """Of the whole episode, by the info of its last step, which has been added."""
        if not info and not self._sums:
            return {}
        last = {name: _number(value) for name, value in info.items() if name not in self._sums and _is_told(name)}
        return bounded(self._sums | {name: value for name, value in last.items() if value is not None})


class VectorNumbers:
    """The same of all environments of one of Gymnasium's vector envs, whose info holds arrays [N]."""

    def __init__(self, num_envs: int) -> None:
        self._num_envs = num_envs
        self._sums: dict[str, NDArray[np.float64]] = {}

    def add(self, info: Mapping[str, Any], valid: NDArray[np.bool_]) -> None:
        """Takes the info of a step; what is not `valid` [N] belongs to no episode."""
        for name, values, there in self._arrays(info):
            if name.startswith(_SUMMED):
                total = self._sums.setdefault(name, np.zeros(self._num_envs))
                total += np.where(there & valid, values, 0.0)

    def at_end(self, info: Mapping[str, Any], ended: NDArray[np.bool_]) -> tuple[FinalInfo, ...] | None:
        """Of each episode that ended [N]; None where nothing is told of any."""
        arrays = self._arrays(info)
        told = tuple(
            bounded(
                {
                    name: float(self._sums[name][row] if name in self._sums else values[row])
                    for name, values, there in arrays
                    if there[row] or name in self._sums
                }
            )
            for row in ended.nonzero()[0]
        )
        for total in self._sums.values():
            total[ended] = 0.0
        return told if any(told) else None

    def _arrays(self, info: Mapping[str, Any]) -> list[tuple[str, NDArray[np.float64], NDArray[np.bool_]]]:
        """Name, values [N] and which of them were told [N]."""
        found = []
        for name, values in info.items():
            if not _is_told(name) or not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
                continue
            if values.shape == (self._num_envs,):
                there = np.full(self._num_envs, fill_value=True) & info.get(f"_{name}", True)
                found.append((name, values.astype(np.float64), there))
        return found


def bounded(numbers: Mapping[str, float]) -> FinalInfo:
    """Those that are finite, `MAX_NUMBERS` at most, in an order that depends on the names only."""
    names = sorted((name for name in numbers if math.isfinite(numbers[name])), key=_order)
    return {name: numbers[name] for name in names[:MAX_NUMBERS]}


def means_of(episodes: Iterable[FinalInfo | None]) -> dict[str, tuple[float, int]]:
    """The mean of each number over the episodes that told it, and how many these were; `MAX_NUMBERS` of them."""
    values: dict[str, list[float]] = {}
    for told in episodes:
        for name, value in (told or {}).items():
            values.setdefault(name, []).append(value)
    return {
        name: (float(np.mean(values[name])), len(values[name])) for name in sorted(values, key=_order)[:MAX_NUMBERS]
    }


def _order(name: str) -> tuple[bool, str]:
    return name not in SUCCESS, name


def _is_told(name: object) -> bool:
    return isinstance(name, str) and name not in NOT_TOLD and _NAME.fullmatch(name) is not None


def _number(value: Any) -> float | None:
    """One number or truth, of Python's or NumPy's; None for anything else."""
    if type(value) is float:  # every step of an environment that tells its rewards comes through here
        return value
    if not isinstance(value, _SCALAR) or (isinstance(value, _ARRAY) and (value.ndim or value.dtype.kind not in "biuf")):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
