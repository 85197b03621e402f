"""Show what there is to run; --runs shows the runs and how each stands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from commands.command_line import print_help, wants_help
from reports.columns import print_columns
from training.errors import UserError
from training.experiments import find_experiments, find_scripts, first_line
from training.numbers import duration, short
from training.run.runs import RUNS, RunState, all_runs

TAKES = ""


@dataclass(frozen=True)
class Options:
    """What is shown."""

    runs: bool | str = False
    """The runs in runs/, newest first, instead of what there is to run; with a name those of this experiment."""
    json: bool = False
    """For programs: everything that is known, as one JSON list."""


def main(argv: Sequence[str], package: str) -> int:
    """Prints the name of every experiment and algorithm and what it is, or how every run stands."""
    if wants_help(argv):
        return print_help("list", main.__doc__, Options())
    options = Options()
    if argv:
        from training.options import parse_options  # late: a list alone needs none

        (options,) = parse_options(argv, options)
    if options.runs:
        _print_runs(all_runs(), options)
        return 0
    experiments, algorithms = find_experiments(package), find_scripts(package, "PRESETS")
    descriptions = {name: first_line(script) for name, script in experiments.items()}
    if options.json:
        print(json.dumps([{"name": name, "description": told} for name, told in descriptions.items()], indent=2))
        return 0
    width = max(map(len, descriptions), default=0)
    for name in (name for name in experiments if name not in algorithms):
        print(f"{name:{width}}  {descriptions[name]}")
    if algorithms:
        print("\nAlgorithms, on any environment: train NAME --env.id MyEnv-v0\n")
    for name in algorithms:
        print(f"{name:{width}}  {descriptions[name]}")
    return 0


def _print_runs(states: Sequence[RunState], options: Options) -> None:
    if isinstance(options.runs, str):
        known = dict.fromkeys(state.experiment for state in states)
        if options.runs not in known:
            raise UserError(f"runs = {options.runs!r}: {RUNS}/ has runs of {', '.join(known) or 'nothing yet'}")
        states = [state for state in states if state.experiment == options.runs]
    if options.json:
        print(json.dumps([_as_json(state) for state in states], indent=2))
    elif not states:
        print(f"there is no run in {RUNS}/ yet")
    else:
        now = datetime.now(UTC)
        titles = ("run", "experiment", "seed", "status", "done", "score", "time", "age")
        print_columns(titles, [_row(state, now) for state in states], right=titles[4:], drop=("time", "seed", "age"))


def _row(state: RunState, now: datetime) -> list[str]:
    budget = "" if state.budget is None else f"/{short(state.budget)} {state.unit.removeprefix('env_')}"
    age_s = (now - state.began).total_seconds()
    return [
        state.folder.name,
        state.experiment,
        str(state.seed),
        state.status,
        f"{short(state.done)}{budget}",
        "" if state.score is None else f"{state.score:.6g}",
        "" if state.wall_time_s is None else duration(state.wall_time_s),
        next(f"{age_s / size:.0f} {unit}" for unit, size in AGES if age_s >= size or unit == "s"),
    ]


AGES = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))


def _as_json(state: RunState) -> Mapping[str, Any]:
    return {**asdict(state), "folder": str(state.folder), "began": state.began.isoformat()}
