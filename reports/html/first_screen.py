"""The first screen of the page: what came of the runs, how sure that is, what went wrong, how to run them again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reports.comparison.computed import Part
from reports.comparison.showing import order, shown
from reports.html.asked import Asked
from reports.html.facts import Facts, Judgement
from reports.html.sections import claims, commands_of, parts, troubles
from training.claims import CONFIDENT
from training.energy.account import in_words
from training.numbers import duration
from training.program import program

RUNS_AGAIN = 3
"""So many commands are on the first screen."""


@dataclass(frozen=True)
class Card:
    """One question of the first screen: lines of words, and commands."""

    question: str
    lines: Sequence[str]
    commands: Sequence[str] = ()
    tone: str = ""
    """good, bad, or neither."""


def cards(asked: Asked) -> list[Card]:
    """What the first screen answers."""
    return [_result(asked), _certainty(asked), _trouble(asked), _again(asked)]


def _result(asked: Asked) -> Card:
    if (one := asked.one) is not None:
        return Card("What came of it", list(_outcome(one)), tone=_tone(claims(asked)))
    if asked.comparison is None:
        return Card("Which is better", [f"Not known: {asked.why_not}"])
    lines = []
    for task, part in parts(asked):
        names = list(part.groups)
        best = f"{names[0]} has the best mean" if len(names) > 1 else "one group"
        open_ = "" if len(names) == 1 or _settled(part, names[0]) else "not settled, "
        lines += [f"{task}: {open_}{best}"]
        lines += [f"{name}: {shown(part.groups[name].mean)}" for name in names]
    return Card("Which is better", lines)


def _settled(part: Part, best: str) -> bool:
    """Whether other seeds would have the best group before every other one again."""
    chances = [pair.chance_of_order for pair in part.pairs if pair.first == best]
    return all(chance is not None and chance >= CONFIDENT for chance in chances)


def _outcome(one: Facts) -> Iterator[str]:
    state = one.state
    budget = f" of {state.budget:,}" if state.budget else ""
    unit = state.unit.replace("_", " ")
    yield f"{state.status} at {state.done:,}{budget} {unit}" + (
        f" in {duration(state.wall_time_s)}" if state.wall_time_s else ""
    )
    metrics, best = one.result.get("metrics", {}), one.result.get("best", {})
    name = state.score_name or next((name for name in metrics if name.startswith("test/")), None)
    if (score := metrics.get(name, state.score)) is not None:
        yield f"{name} {score:.6g}" + (f"; best checkpoint {best[name]:.6g}" if name in best else "")
    if energy := one.result.get("energy"):
        yield f"energy: {in_words(energy)}"
    if why := one.result.get("stopped_early"):
        yield f"stopped early: {why}"


def _tone(judged: Sequence[tuple[str, Sequence[Judgement]]]) -> str:
    held = [one.holds for _, several in judged for one in several if one.holds is not None]
    return "" if not held else "good" if all(held) else "bad"


def _certainty(asked: Asked) -> Card:
    if (one := asked.one) is not None:
        lines = ["It is one seed: nothing is known about others."]
        metrics = one.result.get("metrics", {})
        if "evaluation/return_std" in metrics:
            episodes = metrics.get("evaluation/episodes", 0)
            spread = metrics["evaluation/return_std"]
            lines.append(f"Its {episodes:.0f} episodes differ by a standard deviation of {spread:.4g}.")
        lines += [f"not exact: {why}" for why in one.result.get("inexact", ())]
        name = one.settings["experiment"]
        verify = [f"{program()} verify {shlex.quote(name)}"] if claims(asked)[0][1] else []
        return Card("How sure is that", lines, verify)
    if asked.comparison is None:
        return Card("How sure is that", ["Nothing is compared."])
    lines = [line for _, part in parts(asked) for line in order(part)]
    return Card("How sure is that", lines or ["One group: there is no order to be sure of."])


def _trouble(asked: Asked) -> Card:
    ended = [f"{facts.name}: {facts.state.status}" for facts in asked.runs if facts.state.status != "completed"]
    found = troubles(asked)
    lines = [*ended, *(f"{one.name}: {len(one.seen)} of {len(asked.runs)} runs" for one in found)]
    if asked.one is not None:
        lines = [*ended, *(f"{one.name}: {one.wrong}" for one in found)]
    return Card("What went wrong", lines or ["Nothing was found."], tone="bad" if lines else "good")


def _again(asked: Asked) -> Card:
    commands = [command for _, several in commands_of(asked) for command in several]
    more = len(commands) - RUNS_AGAIN
    lines = [f"{more} more below"] if more > 0 else []
    if not commands:
        lines = ["Not known: see below."]
    return Card("How to run it again", lines, commands[:RUNS_AGAIN])
