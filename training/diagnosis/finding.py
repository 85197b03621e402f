"""A symptom is a kind of trouble, in words; a finding is that it was seen in a run, with the numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from training.diagnosis.record import Record


class Evidence(NamedTuple):
    """What shows it, in words with its numbers, and from when until when, in the run's unit."""

    shown_by: str
    since: float
    until: float


class Remedy(NamedTuple):
    """What to try: an option, by the end of its dotted name, and what it should be. Without a name: what else to do."""

    option: str
    advice: str = ""
    to: float | str | None = None
    """A better value; where a run has it already, nothing is said."""
    times: float | None = None
    """How many times as large as it is."""


@dataclass(frozen=True)
class Symptom:
    """One kind of trouble, and how it is found."""

    name: str
    wrong: str
    """What is wrong, as a sentence."""
    seen: str
    """By what it is seen, with the thresholds."""
    remedies: tuple[Remedy, ...]
    """What to try, the likeliest first."""
    find: Callable[[Record], Evidence | None]
    """A pure function of the run."""
    general: bool = False
    """It only says that something is wrong: not worth a word where another symptom says what."""


@dataclass(frozen=True)
class Finding:
    """What a reader is told of one symptom of one run."""

    name: str
    wrong: str
    shown_by: str
    tries: tuple[str, ...]
    """What to try, with the options as this run spells them and what they are."""
    since: float
    until: float
    unit: str

    def lines(self, prefix: str) -> list[str]:
        """The finding for the console: the first line, then one for each thing to try."""
        when = f"({self.unit.replace('_', ' ')} {self.since:,.0f} to {self.until:,.0f})"
        return [f"{prefix}: {self.name}: {self.wrong} {self.shown_by} {when}", *(f"  try {one}" for one in self.tries)]


def found(symptom: Symptom, record: Record) -> Finding | None:
    """The finding of a symptom in a run; None where it is not there."""
    evidence = symptom.find(record)
    if evidence is None:
        return None
    tries = tuple(words for remedy in symptom.remedies for words in _spelled(remedy, record))
    return Finding(symptom.name, symptom.wrong, evidence.shown_by, tries, evidence.since, evidence.until, record.unit)


def _spelled(remedy: Remedy, record: Record) -> list[str]:
    """A remedy with the options of this run; nothing where it has none of them, or has followed the advice."""
    if not remedy.option:
        return [remedy.advice]
    options = record.options(remedy.option).items()
    tries = [(name, value, _better(remedy, value)) for name, value in options]
    return [
        " ".join((f"--{name.replace('_', '-')}", *better, f"(now {_short(value)})")) + _after(remedy.advice)
        for name, value, better in tries
        if [_short(value)] != better
    ]


def _better(remedy: Remedy, value: Any) -> list[str]:
    """The value to try, if there is one to name."""
    if remedy.times is not None and isinstance(value, int | float):
        larger = value * remedy.times
        return [_short(round(larger) if isinstance(value, int) else larger)]
    return [] if remedy.to is None else [_short(remedy.to)]


def _after(advice: str) -> str:
    return f": {advice}" if advice else ""


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
