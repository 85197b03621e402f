"""Metrics, and how measurements of one name are merged: in a row of the log and over the parts of an update."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from training.state import State


class Mean(NamedTuple):
    """A mean over all that is logged between two rows; `weight` is how many samples `value` already averages."""

    value: float | Tensor
    weight: float = 1.0


class Max(NamedTuple):
    """The largest value logged between two rows."""

    value: float | Tensor


class Sum(NamedTuple):
    """The sum of all that is logged between two rows."""

    value: float | Tensor


class Last(NamedTuple):
    """The newest value."""

    value: float | Tensor


Metric: TypeAlias = Mean | Max | Sum | Last
Metrics: TypeAlias = dict[str, Metric]
"""Named `area/what_unit`. Values may be tensors of no dimension: they are read once, when a row is written."""

_KINDS: dict[str, type[Metric]] = {"Mean": Mean, "Max": Max, "Sum": Sum, "Last": Last}


def merge_metrics(parts: Iterable[Metrics]) -> Metrics:
    """One set of metrics from those of several steps; each needs to have been measured in one of them only."""
    reductions: dict[str, Reduction] = {}
    for metrics in parts:
        add_metrics(reductions, metrics)
    return {name: reduction.metric() for name, reduction in reductions.items()}


def add_metrics(reductions: dict[str, Reduction], metrics: Metrics) -> None:
    """Folds the metrics into the reductions of their names.

    Raises ValueError for a tensor with dimensions and for one name with two kinds of metric.
    """
    for name, metric in metrics.items():
        reduction = reductions.get(name)
        if reduction is None:
            reduction = reductions[name] = Reduction(type(metric))
        reduction.add(name, metric)


class Reduction:
    """What is left of the values of one metric, of one kind.

    Values are folded one by one in double precision, so the result does not depend on where a checkpoint, a kill or a
    resume falls between them. Values on an accelerator stay there: nothing waits for it.
    """

    __slots__ = ("kind", "value", "weight")

    def __init__(self, kind: type[Metric], value: float | Tensor | None = None, weight: float = 0.0) -> None:
        self.kind = kind
        self.value = value  # Mean: the weighted sum; None: nothing was measured
        self.weight = weight  # Mean: the sum of the weights; others do not use it

    def add(self, name: str, metric: Metric) -> None:
        if type(metric) is not self.kind:
            raise ValueError(f"metric {name!r} is {self.kind.__name__} and {type(metric).__name__} in one row")
        value = _detached(name, metric.value)
        weight = metric.weight if isinstance(metric, Mean) else 1.0
        if weight == 0:  # a mean over nothing: whatever the value is, it means nothing
            return
        self.weight += weight
        if isinstance(metric, Mean | Sum):
            self.value = _sum(self.value, value, weight)
        elif isinstance(metric, Max) and self.value is not None:
            self.value = _larger(self.value, _copied(value))
        else:
            self.value = _copied(value)

    @property
    def divisor(self) -> float:
        """What `value` must be divided by to give the result."""
        return self.weight if self.kind is Mean else 1.0

    def metric(self) -> Metric:
        """All values as one."""
        if self.kind is Mean:
            return Mean(math.nan, 0.0) if self.value is None else Mean(self.value / self.weight, self.weight)
        assert self.value is not None, "only a mean can be over nothing"
        return self.kind(self.value)

    def state_dict(self) -> State:
        value = None if self.value is None else float(self.value)
        return {"kind": self.kind.__name__, "value": value, "weight": self.weight}

    @staticmethod
    def from_state(state: State) -> Reduction:
        return Reduction(_KINDS[state["kind"]], state["value"], state["weight"])


def read(reductions: dict[str, Reduction]) -> dict[str, float]:
    """The results in alphabetical order; all that is on an accelerator is fetched at once."""
    folded = {name: reduction.value for name, reduction in sorted(reductions.items())}
    remote = {name: value for name, value in folded.items() if isinstance(value, Tensor)}
    fetched = dict(zip(remote, torch.stack(list(remote.values())).tolist(), strict=True)) if remote else {}
    return {
        name: fetched.get(name, value) / reductions[name].divisor for name, value in folded.items() if value is not None
    }


def _detached(name: str, value: float | Tensor) -> float | Tensor:
    """A number, or the tensor when it is on an accelerator."""
    if not isinstance(value, Tensor):
        return float(value)
    if value.ndim:
        raise ValueError(f"metric {name!r} has the shape {list(value.shape)}: it takes a tensor of no dimension")
    if value.is_cpu:
        return float(value.item())  # costs less than any tensor operation, and there is nothing to wait for
    return value.detach()


def _copied(value: float | Tensor) -> float | Tensor:
    """In double precision, in memory that no update of the algorithm changes."""
    return value.to(torch.float64, copy=True) if isinstance(value, Tensor) else value


def _sum(total: float | Tensor | None, value: float | Tensor, weight: float) -> float | Tensor:
    """The total with one more weighted value, in double precision; on an accelerator it is one kernel."""
    if not isinstance(value, Tensor):
        return (0.0 if total is None else total) + value * weight
    if not isinstance(total, Tensor):
        total = torch.full((), total or 0.0, dtype=torch.float64, device=value.device)
    return total.add_(value, alpha=weight)


def _larger(a: float | Tensor, b: float | Tensor) -> float | Tensor:
    """The larger of two values; nan when one of them is nan."""
    if isinstance(a, Tensor):
        return a.clamp(min=b)
    if isinstance(b, Tensor):
        return b.clamp(min=a)
    return a if a >= b or math.isnan(a) else b
