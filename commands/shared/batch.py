"""Several runs of one experiment, one after another: seeds, and lists of values."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NamedTuple, get_origin

from reports.columns import print_columns
from training import interruption
from training.cluster import child_process
from training.errors import UserError, require
from training.numbers import duration, short
from training.options import as_words, config_hash, config_to_tree, members, translated
from training.run.folder import new_folder, read_settings
from training.run.forecast import Job, jobs_left_s
from training.run.provenance import source_hash
from training.run.runs import RunState, describe, find_same

LOOK_EVERY_S = 0.1
TRAINS = "trains in"


@dataclass(frozen=True)
class BatchOptions:
    """Several runs, one after another. So does a list for an option that takes one value: --env.id A,B."""

    seeds: tuple[str, ...] = ()
    """Such as 1..5, or 1,3,7: a run for each."""
    resume: bool = False
    """What is finished is not trained again, and what was stopped goes on."""


@dataclass(frozen=True)
class Planned:
    """One run of a batch: the options by which it differs from the others, and all of its options."""

    differs: Mapping[str, str]
    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.differs.items())


class Asked(NamedTuple):
    """What is asked of one run of several."""

    holds_all: Path | None
    """The folder for all of them, if one is named."""
    group: str
    """In runs/."""
    config: Any


def plan(words: Sequence[str], types: Mapping[str, Any], batch: BatchOptions) -> list[Planned]:
    """The runs that are asked for, one where no option has several values.

    Args:
        words: the options, by their own names.
        types: those of the config's fields, whose values may be lists.
        batch: the seeds.
    """
    options = dict(_options(words))
    lists = {
        name: _listed(name, tokens[0]) for name, tokens in options.items() if _is_list(types.get(name, list), tokens)
    }
    if batch.seeds:
        if "seed" in options:
            raise UserError("--seed and --seeds are given: one of them says it")
        lists["seed"] = [str(seed) for seed in read_seeds(batch.seeds)]
    alike = [word for name, tokens in options.items() if name not in lists for word in as_words(name, tokens)]
    combined = (dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values()))
    return [
        Planned(differs, (*alike, *(word for name, value in differs.items() for word in as_words(name, [value]))))
        for differs in combined
    ]


def read_seeds(words: Sequence[str]) -> list[int]:
    """The seeds of `1..5`, `1,3,7` or several words of these. Raises UserError for what is none, and for one twice."""
    seeds: list[int] = []
    text = ",".join(words)
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", part.strip())
        takes = "such as 1..5 or 1,3,7"
        require(found is not None, "seeds", text, takes)
        assert found is not None
        first, last = int(found[1]), int(found[2] or found[1])
        require(first <= last, "seeds", text, takes)
        seeds += range(first, last + 1)
    require(len(seeds) == len(set(seeds)), "seeds", text, "every seed once")
    return seeds


def train_in_turn(
    name: str,
    package: str,
    planned: Sequence[Planned],
    read: Callable[[Sequence[str]], Asked],
    *,
    again: Sequence[str],
    resume: bool,
) -> int:
    """Trains one after another, each in a process of its own, and prints how each ended and what the seeds gave.

    Args:
        name: the experiment.
        package: where the experiments are.
        planned: the runs.
        read: what the options of one of them ask for.
        again: the words of the command that asked for them.
        resume: whether what was begun by an earlier call is kept.

    Returns:
        0 when all of them are completed, otherwise 1: one that fails does not stop the others.

    Raises:
        UserError: a mistake in the options of any, before the first begins.
        Interrupted: the run in training has saved; all that follow are not begun.
    """
    asked = [read(one.words) for one in planned]
    folders = [_folder(name, one, of_one, resume=resume) for one, of_one in zip(planned, asked, strict=True)]
    failed, ended = False, list[Job]()
    try:
        with interruption.catch():
            for number, (one, folder) in enumerate(zip(planned, folders, strict=True), start=1):
                verb, command = _next_command(name, package, one, folder)
                to_come = [Job("run", "waiting")] * (len(planned) - number + 1)
                left_s = jobs_left_s([*ended, *to_come], 1)
                eta = "" if left_s is None else f", ETA of all {duration(left_s)}"
                print(f"[{number}/{len(planned)}] {one}: {verb} {folder}{eta}", file=sys.stderr, flush=True)
                began_s = time.monotonic()
                if command:
                    failed |= _run(command) != 0
                ended += [Job("run", "ended", time.monotonic() - began_s)] if verb == TRAINS else []
                interruption.check()
    except interruption.Interrupted:
        words = [*again, *([] if resume else ["--resume"])]
        print(f"go on with: {shlex.join(['python', '-m', 'experiments', 'train', *words])}", file=sys.stderr)
        raise
    finally:
        _print_end(planned, folders)
    return 1 if failed else 0


def _options(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    names = [word.removeprefix("--").partition("=")[0].replace("-", "_") for word in words if word.startswith("--")]
    return translated(words, names)


def _is_list(kind: Any, tokens: Sequence[str]) -> bool:
    """Whether several values are given to what takes one; a text with a comma in it is written as JSON."""
    takes_one = all(
        member in (int, float, bool, str, NoneType) or get_origin(member) is Literal for member in members(kind)
    )
    return takes_one and len(tokens) == 1 and "," in tokens[0] and not tokens[0].startswith('"')


def _listed(name: str, text: str) -> list[str]:
    values = [value.strip() for value in text.split(",")]
    takes = "values with commas between them, each once; one value that has a comma is written as JSON"
    require(all(values) and len(values) == len(set(values)), name, text, takes)
    return values


def _folder(name: str, one: Planned, asked: Asked, *, resume: bool) -> Path:
    """Where the run is, or will be."""
    holds_all, group, config = asked
    if holds_all is not None:
        folder = holds_all / ",".join(re.sub(r"[^\w.=-]+", "_", f"{key}={value}") for key, value in one.differs.items())
        if folder.exists() and not resume:
            raise UserError(f"{folder} is there already: --resume goes on with it")
        if (folder / "config.json").exists() and read_settings(folder)["config_hash"] != config_hash(config):
            raise UserError(f"{folder} is a run with other options: take another --run-dir")
        return folder
    tree = config_to_tree(config)
    same = find_same(config_hash(config), source_hash(name, tree)) if resume else None
    return same or new_folder(group, config.seed)


def _next_command(name: str, package: str, one: Planned, folder: Path) -> tuple[str, list[str] | None]:
    """What is done with the run, as a verb, and the command; None where it is finished."""
    if not (folder / "config.json").exists():
        own = [
            word for option, tokens in _options(one.words) if option != "run_dir" for word in as_words(option, tokens)
        ]
        return TRAINS, child_process.command(package, "train", name, *own, "--run-dir", str(folder))
    if describe(folder, read_settings(folder)).status == "completed":
        return "is finished in", None
    return "goes on in", child_process.command(package, "resume", str(folder))


def _run(command: Sequence[str]) -> int:
    """The exit code of a child that has this terminal; what asks this process to end asks the child to save and end."""
    with subprocess.Popen(command) as process:
        told = False
        while process.poll() is None:
            if interruption.requested() and not told:
                process.terminate()  # where the signal came to this process alone
                told = True
            time.sleep(LOOK_EVERY_S)
        return process.returncode


def _print_end(planned: Sequence[Planned], folders: Sequence[Path]) -> None:
    """How each run ended, and for every combination of other values what its seeds gave."""
    states = [
        describe(folder, read_settings(folder)) if (folder / "config.json").exists() else None for folder in folders
    ]
    titles = (*planned[0].differs, "status", "done", "score", "time", "run")
    print()
    rows = [
        [*one.differs.values(), *_row(state, folder)]
        for one, state, folder in zip(planned, states, folders, strict=True)
    ]
    print_columns(titles, rows, right=("done", "score", "time"), drop=("time", "done"))
    groups: dict[str, list[RunState]] = {}
    for one, state in zip(planned, states, strict=True):
        if state is not None and state.status == "completed" and state.score is not None:
            others = " ".join(f"{key}={value}" for key, value in one.differs.items() if key != "seed")
            groups.setdefault(others, []).append(state)
    for others, group in groups.items():
        if len(group) > 1:
            print(f"{others + ': ' if others else ''}{group[0].score_name} {_over_seeds(group)}")


def _row(state: RunState | None, folder: Path) -> list[str]:
    if state is None:
        return ["not begun", "", "", "", str(folder)]
    seconds = "" if state.wall_time_s is None else duration(state.wall_time_s)
    score = "" if state.score is None else f"{state.score:.6g}"
    return [state.status, short(state.done), score, seconds, str(folder)]


def _over_seeds(group: Sequence[RunState]) -> str:
    from training.intervals import estimate, interval

    scores = [float(state.score) for state in group if state.score is not None]
    bounds = interval(scores)
    told = "" if bounds is None else f", 95 % interval {bounds[0]:.6g} to {bounds[1]:.6g}"
    return f"{estimate(scores):.6g}{told}, {len(scores)} seeds"
