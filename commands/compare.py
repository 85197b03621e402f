"""Compare runs, experiments and logs of other libraries, with intervals over seeds: RUN|NAME|LABEL:LOG ... --json."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Literal

from commands.command_line import print_help, wants_help
from reports.comparison.comparing import compare
from reports.comparison.computed import Comparison
from reports.comparison.foreign import find_logs, read_logs
from reports.comparison.groups import Grouped, group
from reports.comparison.records import LeftOut, Record
from reports.comparison.runs import find_named, find_runs, is_run, read_record
from reports.comparison.showing import csv_rows, print_comparison
from training.errors import UserError, require
from training.experiments import find_experiments
from training.names import nearest
from training.options import parse_options
from training.program import program
from training.run.runs import find_run

TAKES = "RUN..."


@dataclass(frozen=True)
class HowCompared:
    """By what runs are compared."""

    at: Literal["final", "best"] = "final"
    """Of the policy at the end, or of the best checkpoint."""
    normalize: tuple[str, ...] = ()
    """What counts as 0 and as 1, so that environments are on one scale: published, min-max, two numbers or groups such
    as random,ppo, or those of each environment: CartPole-v1=10,500. By default published where that is known for all
    environments, else the worst and the best score that is compared."""
    target: float | None = None
    """For the optimality gap in every environment; by default what the experiments claim to reach."""
    lower_is_better: bool = False
    env: str | None = None
    """The environment of logs that name none; by default that of all the other runs."""


@dataclass(frozen=True)
class Options(HowCompared):
    """What is compared, and how it is shown."""

    metric: str = "evaluation/return_mean"
    json: bool = False
    """Print everything as JSON."""
    csv: bool = False
    """Print every figure as a row of CSV."""

    def __post_init__(self) -> None:
        require(not (self.json and self.csv), "csv", self.csv, "false with --json")


def main(argv: Sequence[str], package: str) -> int:
    """Compares groups of runs by a metric: their scores, how early they are good, and how sure their order is.

    An argument is the folder of a run or of several, the name of an experiment (its runs in runs/), or a log of
    Stable-Baselines3 or TensorBoard; LABEL: before it names its group.
    """
    if wants_help(argv):
        return print_help("compare RUN...", main.__doc__, Options())
    words, rest = split(argv, "compare")
    (options,) = parse_options(rest, Options())
    found = compared(words, options, package)
    if options.json:
        print(json.dumps(found.as_json(), indent=2, allow_nan=False))
    elif options.csv:
        print(csv_rows(found), end="")
        for line in (*(f"left out: {source}: {why}" for source, why in found.left_out), *found.remarks):
            print(line, file=sys.stderr)
    else:
        print_comparison(found)
    return 0


def split(argv: Sequence[str], command: str) -> tuple[list[str], list[str]]:
    """The runs that a command is about, which come first, and its options. Raises UserError when there are no runs."""
    count = next((index for index, word in enumerate(argv) if word.startswith("--")), len(argv))
    if not count:
        raise UserError(f"{command} takes {TAKES} first: {program()} {command} RUN|NAME|LABEL:LOG ... [options]")
    return list(argv[:count]), list(argv[count:])


def compared(words: Sequence[str], options: Options, package: str) -> Comparison:
    """The comparison of what the words name.

    Raises UserError for a word that names nothing, and where nothing can be compared.
    """
    records, out = read(words, package)
    return compared_by(options.metric, options, records, out)[1]


def compared_by(
    metric: str, how: HowCompared, records: Sequence[Record], out: Sequence[LeftOut]
) -> tuple[Grouped, Comparison]:
    """The groups of the records, and what is computed with their scores. Raises UserError as `compared` does."""
    grouped = group(records, metric, how.at, out, how.env, lower_is_better=how.lower_is_better)
    computed = compare(
        grouped,
        metric=metric,
        at=how.at,
        normalize=how.normalize,
        target=how.target,
        lower_is_better=how.lower_is_better,
    )
    return grouped, computed


def read(words: Sequence[str], package: str) -> tuple[list[Record], list[LeftOut]]:
    """The runs that the words name, each once, and those that are not finished."""
    records: list[Record] = []
    out: list[LeftOut] = []
    seen: set[Path] = set()
    for word in words:
        for record in _records(word, package, seen):
            if isinstance(record, LeftOut):
                out.append(record)
            else:
                records.append(record)
    return records, out


def _records(word: str, package: str, seen: set[Path]) -> Iterator[Record | LeftOut]:
    label, path = _labelled(word)
    paths = (
        [Path(found) for found in sorted(glob(path))] if has_magic(path) and not Path(path).exists() else [Path(path)]
    )
    if not paths:
        raise UserError(f"{path} matches no file or folder")
    if not Path(path).exists() and not has_magic(path):
        yield from _named(path, label, package, seen)
        return
    for one in paths:
        if one.is_file():
            yield from _once(one, seen, read_logs, [one], label)
            continue
        folders = [one] if is_run(one) else find_runs(one)
        logs = {} if is_run(one) else find_logs(one)
        if not folders and not logs:
            raise UserError(f"{one} holds no run and no log of Stable-Baselines3 or TensorBoard")
        for folder in folders:
            yield from _once(folder, seen, read_record, folder, label)
        for folder, files in logs.items():
            # A folder of logs below the one that was asked for is a seed of that: of the same name.
            yield from _once(folder, seen, read_logs, files, label or (one.name if folder != one else None))


def _once(path: Path, seen: set[Path], read_one: object, *arguments: object) -> Iterator[Record | LeftOut]:
    if path.resolve() not in seen:
        seen.add(path.resolve())
        yield read_one(*arguments)  # type: ignore[operator]


def _named(name: str, label: str | None, package: str, seen: set[Path]) -> Iterator[Record | LeftOut]:
    """The runs of an experiment, or one that is named as other commands take it: `latest`, how its name begins."""
    known = find_experiments(package)
    if name not in known:
        try:
            folder = find_run(name)
        except UserError as error:
            told = f"{name} is no file, no folder and no experiment: {nearest(name, known)}"
            raise UserError(told) from error
        yield from _once(folder, seen, read_record, folder, label)
        return
    folders = find_named(name)
    if not folders:
        raise UserError(f"runs/{name} holds no run: {program()} train {name}")
    for folder in folders:
        yield from _once(folder, seen, read_record, folder, label)


def _labelled(word: str) -> tuple[str | None, str]:
    """The label before a colon, if there is one, and what comes after it."""
    label, colon, path = word.partition(":")
    if colon and label and path and not Path(word).exists() and "/" not in label:
        return label, path
    return None, word
