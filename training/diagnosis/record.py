"""What is known of a run when it is diagnosed: its rows, its config and its result. Nothing is measured anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.core import Unit
from training.run.folder import read_settings
from training.run.logger import read_rows
from training.run.result import read_result

Tree = Mapping[str, Any]

EARLY, LATE = 0.1, 0.2
"""Which parts of the rows are the beginning and the end of a run; three rows at least, so that one does not decide."""
FEWEST_ROWS = 10
"""Fewer say nothing about a course."""


class Series(NamedTuple):
    """A metric over the rows that have it: where, in the run's unit, and what, both [rows]."""

    at: NDArray[np.float64]
    value: NDArray[np.float64]

    @property
    def early(self) -> NDArray[np.float64]:
        return self.value[: max(3, round(EARLY * len(self.value)))]

    @property
    def late(self) -> NDArray[np.float64]:
        return self.value[-max(3, round(LATE * len(self.value))) :]

    @property
    def late_half(self) -> NDArray[np.float64]:
        return self.value[len(self.value) // 2 :]

    @property
    def gain(self) -> float:
        """From the beginning to the end."""
        return float(self.late.mean() - self.early.mean())

    @property
    def gain_error(self) -> float:
        """The standard error of `gain`, by how the rows differ among each other."""
        return float(np.sqrt(self.early.var(ddof=1) / len(self.early) + self.late.var(ddof=1) / len(self.late)))


@dataclass(frozen=True)
class Record:
    """A run, or one stage of it.

    Args:
        rows: of its `metrics.jsonl`, oldest first.
        config: as a tree.
        result: what its `result.json` says; empty while it goes on.
        begins_anew: False where its policy or network had been trained before, by an earlier stage.
    """

    rows: Sequence[Mapping[str, float]]
    config: Tree
    result: Tree
    begins_anew: bool = True

    @property
    def unit(self) -> Unit:
        """In what the run counts how far it is."""
        units: tuple[Unit, ...] = ("env_steps", "epochs")
        return next((unit for unit in units if self.rows and self.rows[-1][unit]), "updates")

    def series(self, name: str) -> Series:
        """The finite values of a metric; empty where there are fewer than `FEWEST_ROWS` of them."""
        found = [(row[self.unit], row[name]) for row in self.rows if np.isfinite(row.get(name, np.nan))]
        at, value = np.array(found if len(found) >= FEWEST_ROWS else [], np.float64).reshape(-1, 2).T
        return Series(at, value)

    def named(self, ending: str) -> Iterator[tuple[str, Series]]:
        """Every metric whose name ends so, if there is enough of it."""
        for name in sorted({name for row in self.rows for name in row if name.endswith(ending)}):
            if len((series := self.series(name)).value):
                yield name, series

    def options(self, ending: str) -> dict[str, Any]:
        """The options of the config whose dotted names are this one or end with it, and their values."""
        return {name: value for name, value in self._leaves.items() if f".{name}".endswith(f".{ending}")}

    def option(self, ending: str) -> Any:
        """The value of the first of those; None where there is none."""
        return next(iter(self.options(ending).values()), None)

    @cached_property
    def _leaves(self) -> dict[str, Any]:
        return dict(_leaves(self.config))

    @cached_property
    def improved(self) -> bool | None:
        """Whether the return of training rose; None: it cannot be told, as little as where it rose by its error."""
        returns = self.series("rollout/return_mean")
        if not len(returns.value):
            return None
        # One that learns at once differs much among its first rows, by which nothing could be told.
        if returns.gain > 3 * returns.gain_error or returns.late.min() > returns.value[:3].max():
            return True
        return False if returns.gain < returns.gain_error else None

    @property
    def reached(self) -> bool:
        """The run is judged, and reached all that was claimed of it."""
        claims = self.result.get("claims", ())
        return bool(claims) and all(claim["holds"] for claim in claims)


def record_of(rows: Sequence[Mapping[str, float]], settings: Tree, result: Tree) -> Record:
    """A run by the contents of its files."""
    later_stage = bool(settings.get("stage")) and not str(settings["stage"]).startswith("01-")
    return Record(rows, settings["config"], result, begins_anew=not later_stage)


def read_record(folder: Path) -> Record:
    """A run, or a stage of it, in its folder; raises UserError when it is none."""
    settings, file = read_settings(folder), folder / "metrics.jsonl"
    return record_of(read_rows(file) if file.exists() else [], settings, read_result(folder))


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
