"""The energy of a run as numbers with a range, as the JSON of its result, and as one line of words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from training.energy.intensity import JOULES_PER_KWH, EnergyOptions
from training.numbers import short
from training.state import State

SOURCES = ("nvml", "rapl", "model")
"""Counters first."""


class Estimate(NamedTuple):
    """A number, and between what it lies."""

    value: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Any) -> Estimate:  # a tuple's would append
        return Estimate(*(one + two for one, two in zip(self, other, strict=True)))

    def times(self, factor: float) -> Estimate:
        return Estimate(*(factor * number for number in self))

    def beyond(self, other: Estimate) -> Estimate:
        """By how much it is more; 0 where it is not."""
        if self.value <= other.value:
            return Estimate()
        return Estimate(*(max(0.0, one - two) for one, two in zip(self, other, strict=True)))


class Energy(NamedTuple):
    """What was spent, and how that is known."""

    parts: Mapping[str, Estimate] = {}
    """Joules of `cpu`, `memory`, `gpu`, without what was lost."""
    cpu_s: float = 0.0
    sources: frozenset[str] = frozenset()
    not_counted: frozenset[str] = frozenset()
    metering_cpu_s: float = 0.0
    lost: Estimate = Estimate()
    """Joules of work that a kill undid."""

    @property
    def joules(self) -> Estimate:
        """All of it."""
        return sum(self.parts.values(), self.lost)

    def __add__(self, other: Any) -> Energy:
        keys = {**self.parts, **other.parts}
        return Energy(
            {key: self.parts.get(key, Estimate()) + other.parts.get(key, Estimate()) for key in keys},
            self.cpu_s + other.cpu_s,
            self.sources | other.sources,
            self.not_counted | other.not_counted,
            self.metering_cpu_s + other.metering_cpu_s,
            self.lost + other.lost,
        )

    def without(self, other: Energy) -> Energy:
        """What is left of a sum when one of its terms is taken out."""
        negative = other._replace(
            parts={key: part.times(-1.0) for key, part in other.parts.items()},
            cpu_s=-other.cpu_s,
            metering_cpu_s=-other.metering_cpu_s,
            lost=other.lost.times(-1.0),
        )
        return self + negative

    def as_state(self) -> State:
        """For checkpoints, other learners and results; joules are a number, the lowest and the highest."""
        return {
            "parts_j": {key: list(part) for key, part in self.parts.items()},
            "cpu_s": self.cpu_s,
            "sources": sorted(self.sources),
            "not_counted": sorted(self.not_counted),
            "metering_cpu_s": self.metering_cpu_s,
            "lost_j": list(self.lost),
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Energy:
        """The inverse of `as_state`."""
        return cls(
            {key: Estimate(*part) for key, part in state["parts_j"].items()},
            state["cpu_s"],
            frozenset(state["sources"]),
            frozenset(state["not_counted"]),
            state["metering_cpu_s"],
            Estimate(*state["lost_j"]),
        )


def as_result(energy: Energy, options: EnergyOptions, points: float | None = None) -> dict[str, Any]:
    """What `result.json` says of it; `points` is the return that the run gained."""
    joules, carbon = energy.joules, options.carbon
    factors = [options.pue * grams / JOULES_PER_KWH for grams in carbon[:3]]
    grams = Estimate(*(number * factor for number, factor in zip(joules, factors, strict=True)))
    told = {
        **_ranged("energy", "j", joules),
        **energy.as_state(),
        **_ranged("co2e", "g", grams),
        "g_per_kwh": carbon.g_per_kwh,
        "intensity_source": carbon.source,
        "pue": options.pue,
    }
    if points is not None:
        told |= {"return_gained": points, **(_ranged("per_point", "j", joules.times(1 / points)) if points > 0 else {})}
    return told


def joined_results(told: list[Mapping[str, Any]], options: EnergyOptions) -> dict[str, Any] | None:
    """Of several stages together; None where nothing is known of one."""
    if not told or not all(told):
        return None
    several = [Energy.of(one) for one in told]
    return as_result(sum(several[1:], several[0]), options)


def in_words(told: Mapping[str, Any]) -> str:
    """One line of the energy of a result."""
    energy = _range_in_words(told, "energy", "j", "J")
    source = "+".join(source for source in SOURCES if source in told["sources"])
    line = f"{energy} by {source}, {_range_in_words(told, 'co2e', 'g', 'g CO2e')} ({told['intensity_source']})"
    if "per_point_j" in told:
        line += f", {_range_in_words(told, 'per_point', 'j', 'J')} per point of return"
    if (lost := told["lost_j"][0]) > 0:
        line += f"; {short(lost)} J were spent on work that was lost"
    return line + "".join(f"; not counted: {what}" for what in told["not_counted"])


def last_told(folder: Path) -> Estimate:
    """What the newest row of a run's `timing.jsonl` says was spent; 0 where there is none."""
    file = folder / "timing.jsonl"
    if not file.exists():
        return Estimate()
    for line in reversed(file.read_bytes().splitlines()):
        try:
            row = json.loads(line)
        except ValueError:  # a kill cut it off
            continue
        return Estimate(*(float(row.get(key, 0.0)) for key in ("energy_j", "energy_low_j", "energy_high_j")))
    return Estimate()


def in_row(joules: Estimate) -> dict[str, float]:
    """What a row of `timing.jsonl` says of it."""
    return _ranged("energy", "j", joules)


def _ranged(name: str, unit: str, estimate: Estimate) -> dict[str, float]:
    keys = (f"{name}_{unit}", f"{name}_low_{unit}", f"{name}_high_{unit}")
    return {key: float(f"{value:.6g}") for key, value in zip(keys, estimate, strict=True)}


def _range_in_words(told: Mapping[str, Any], name: str, unit: str, shown: str) -> str:
    value, low, high = (short(told[f"{name}{which}_{unit}"]) for which in ("", "_low", "_high"))
    return f"{value} {shown}" + (f" ({low} to {high})" if (low, high) != (value, value) else "")
