"""What a search may change: ranges by the dotted keys of an experiment's config, checked before anything is trained.

An experiment keeps its own next to its config:

    SPACE: Space = {"agent.optimizer.learning_rate": LogUniform(1e-4, 1e-2), "agent.horizon": Choice((16, 32, 64))}

On the command line a range is written `0.9..0.999`, `log:1e-4..1e-2` or `16,32,64`; a key alone takes the experiment's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeAlias

from training.errors import UserError, require
from training.names import nearest
from training.numbers import unscaled
from training.optimizer import Schedule
from training.options import as_options, field_types, members, parse_options


@dataclass(frozen=True)
class Uniform:
    """A number from `low` to `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _require_ascending(self.low, self.high)


@dataclass(frozen=True)
class LogUniform:
    """A number from `low` to `high`, whose logarithm is uniform."""

    low: float
    high: float

    def __post_init__(self) -> None:
        require(self.low > 0, "low", self.low, "a number above 0: its logarithm is taken")
        _require_ascending(self.low, self.high)


@dataclass(frozen=True)
class Integer:
    """An integer from `low` to `high`, both included; with `log` its logarithm is uniform."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        require(not self.log or self.low > 0, "low", self.low, "a number above 0: its logarithm is taken")
        _require_ascending(self.low, self.high)


@dataclass(frozen=True)
class Choice:
    """One of several values, which may be of any kind that the field takes."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        require(len(self.values) >= 2, "values", self.values, "at least two")


Range: TypeAlias = "Uniform | LogUniform | Integer | Choice"
Space: TypeAlias = "Mapping[str, Range]"
SIGNIFICANT_DIGITS = 3
"""Of what is drawn from a continuous range: a number that a person would write."""
SCHEDULES: Mapping[str, str] = MappingProxyType({"learning_rate": "schedule", "clip_range": "clip_schedule"})
"""The rates that a schedule multiplies, and the field of that schedule beside them."""


def read_space(words: Sequence[str], own: Space | None, config: Any) -> dict[str, Range]:
    """The space of a search: the experiment's `own`, or the keys that `words` name, each with its range.

    Raises:
        UserError: no space at all, a word that is no range, and whatever `check_space` finds.
    """
    if not words and not own:
        raise UserError("the experiment has no SPACE: name what to change, such as --space agent.gamma=0.9..0.999")
    space: dict[str, Range] = {} if words else dict(own or {})
    for word in words:
        key, equals, text = word.partition("=")
        key = key.replace("-", "_")
        if not equals and key not in (own or {}):
            hint = nearest(key, own) if own else "the experiment has no SPACE to take it from"
            raise UserError(f"--space {word}: it takes KEY=RANGE, or a key of the experiment's SPACE; {hint}")
        space[key] = _read_range(key, text, config) if equals else (own or {})[key]
    check_space(space, config)
    return space


def check_space(space: Space, config: Any) -> None:
    """Raises UserError for a key that is no field of the config, and for a range with values that it does not take."""
    types = field_types(config)
    for key, values in space.items():
        if key not in types:
            raise UserError(f"unknown key {key} in the search space: {nearest(key, types)}")
        if isinstance(values, Uniform | LogUniform) and float not in members(types[key]):
            raise UserError(f"search space: {key} = {values}: it takes Integer or Choice")
        ends = values.values if isinstance(values, Choice) else (values.low, values.high)
        for value in ends:
            try:
                with_changes(config, {key: value})
            except UserError as error:
                raise UserError(f"search space: {error}") from None


def check_schedules(space: Space) -> None:
    """Raises UserError unless every key is a rate that a schedule multiplies: what population-based training finds."""
    for key, values in space.items():
        if key.rpartition(".")[2] not in SCHEDULES or isinstance(values, Choice | Integer):
            takes = f"continuous ranges of rates that have a schedule: {', '.join(SCHEDULES)}"
            raise UserError(f"search space: {key}: population-based training takes {takes}; choose others by --space")


def decode(space: Space, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the config's fields for what a search drew: rounded, inside the range, and for a choice its value.

    A search draws the index of a choice, so that values of any kind can be chosen from.
    """
    return {key: _decode(values, drawn[key]) for key, values in space.items()}


def encode(space: Space, config: Any) -> dict[str, Any] | None:
    """What a search would have drawn to get the config's own values; None where one of them is outside its range."""
    drawn: dict[str, Any] = {}
    for key, values in space.items():
        value = attrgetter(key)(config)
        if isinstance(values, Choice):
            inside = value in values.values
            drawn[key] = values.values.index(value) if inside else None
        else:
            inside = value is not None and values.low <= value <= values.high
            drawn[key] = value
        if not inside:
            return None
    return drawn


def with_changes(config: Any, changes: Mapping[str, Any]) -> Any:
    """The config with other values by dotted key, checked like those of the command line."""
    return parse_options(as_options(changes), config)[0]


def without_schedule(config: Any, keys: Iterable[str]) -> Any:
    """The config in which the rates keep their value: what moves them is to be found."""
    for key in keys:
        config = _with_schedule(config, key, Schedule())
    return config


def with_steps(config: Any, key: str, history: Sequence[tuple[float, float]]) -> Any:
    """The config whose rate takes the values of `history`: (fraction of the budget from which, value)."""
    (_, first), *later = history
    steps = tuple((fraction, value / first) for fraction, value in later)
    schedule = Schedule("steps", steps=steps) if steps else Schedule()
    return _with_schedule(with_changes(config, {key: first}), key, schedule)


def _with_schedule(config: Any, key: str, schedule: Schedule) -> Any:
    *path, name = key.split(".")
    return _replaced(config, [*path, SCHEDULES[name]], schedule)


def _replaced(config: Any, path: Sequence[str], value: Any) -> Any:
    head, *rest = path
    assert is_dataclass(config)
    assert not isinstance(config, type)
    return replace(config, **{head: _replaced(getattr(config, head), rest, value) if rest else value})


def _decode(values: Range, drawn: Any) -> Any:
    if isinstance(values, Choice):
        return values.values[drawn]
    if isinstance(values, Integer):
        return int(min(max(drawn, values.low), values.high))
    return min(max(float(f"{drawn:.{SIGNIFICANT_DIGITS}g}"), values.low), values.high)


def _read_range(key: str, text: str, config: Any) -> Range:
    types = field_types(config)
    if key not in types:
        raise UserError(f"unknown key {key} in the search space: {nearest(key, types)}")
    whole = int in members(types[key])
    log = text.startswith("log:")
    low, dots, high = text.removeprefix("log:").partition("..")
    try:
        if dots:
            ends = float(unscaled(low)), float(unscaled(high))
            if whole and all(end.is_integer() for end in ends):
                return Integer(int(ends[0]), int(ends[1]), log)
            return (LogUniform if log else Uniform)(*ends)
        return Choice(tuple(_read_choice(word, key, config) for word in text.split(",")))
    except ValueError:
        raise UserError(f"--space {key}={text}: it takes LOW..HIGH, log:LOW..HIGH or values with commas") from None
    except UserError as error:
        raise UserError(f"--space {key}={text}: {error}") from None


def _read_choice(word: str, key: str, config: Any) -> Any:
    return attrgetter(key)(parse_options([f"--{key}={word}"], config)[0])


def _require_ascending(low: float, high: float) -> None:
    require(math.isfinite(low) and math.isfinite(high) and low < high, "high", high, f"a number above low = {low}")
