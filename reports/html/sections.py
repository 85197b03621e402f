"""The sections of the page below its first screen, as words and tables."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reports.comparison.comparing import INTERVALS
from reports.comparison.computed import Part as Compared
from reports.comparison.runs import flattened
from reports.comparison.showing import ALL, Table, order, tables
from reports.html.asked import Asked, Group
from reports.html.facts import Facts, Judgement, judgements
from training.data.quality.finding import DataReport
from training.energy.account import in_words
from training.numbers import duration, short
from training.program import program
from training.run.files import read_json
from training.run.provenance import hardware

REPORT = "data_report.json"
"""What a run of `--quality warn` has in its folder."""


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble, in which runs it was seen, and what to try."""

    name: str
    wrong: str
    seen: Sequence[str]
    tries: Sequence[str]


def parts(asked: Asked) -> list[tuple[str, Compared]]:
    """What is compared: over all environments first, where that is done."""
    found = asked.comparison
    if found is None:
        return []
    overall = [(f"{ALL}, {found.normalized}", found.overall)] if found.overall is not None else []
    return [*overall, *found.tasks.items()]


def compared(asked: Asked) -> list[tuple[str, list[Table], list[str]]]:
    """The tables and the lines about the order, of each environment."""
    return [
        (title, list(tables(part, over_tasks=title not in (asked.comparison.tasks if asked.comparison else ()))),
         list(order(part)))
        for title, part in parts(asked)
    ]  # fmt: skip


def how_compared(asked: Asked) -> str:
    """What is compared, and what the intervals are."""
    found = asked.comparison
    if found is None:
        return ""
    better = "lower is better" if found.lower_is_better else "higher is better"
    return f"{found.at} {found.metric}, {better}; {INTERVALS}"


def claims(asked: Asked) -> list[tuple[str, list[Judgement]]]:
    """What the claims of each experiment say of each group."""
    found = []
    for group in asked.groups:
        for experiment in dict.fromkeys(facts.settings["experiment"] for facts in group.runs):
            own = [facts for facts in group.runs if facts.settings["experiment"] == experiment]
            title = group.name if group.name.startswith(experiment) else f"{group.name}: {experiment}"
            judged = judgements(own)
            if not judged and (unfinished := [facts for facts in own if facts.state.status != "completed"]):
                status = ", ".join(dict.fromkeys(facts.state.status for facts in unfinished))
                judged = [Judgement(f"not judged: it is {status}", None)]
            found.append((title, judged))
    return found or [("", [])]


def troubles(asked: Asked) -> list[Trouble]:
    """Each kind of trouble once, the most frequent first."""
    seen: dict[str, list[str]] = {}
    first: dict[str, Any] = {}
    for facts in asked.runs:
        for stage, finding in facts.found:
            unit = finding.unit.replace("_", " ")
            who = "" if asked.one else f"{facts.name}: "
            where = f"stage {stage}, " if stage else ""
            when = f"{where}{unit} {finding.since:,.0f} to {finding.until:,.0f}"
            seen.setdefault(finding.name, []).append(f"{who}{finding.shown_by} ({when})")
            first.setdefault(finding.name, finding)
    by_count = sorted(seen, key=lambda name: -len(seen[name]))
    return [Trouble(name, first[name].wrong, seen[name], first[name].tries) for name in by_count]


def measured(one: Facts) -> Table:
    """What was measured at the end of a run, beside its best checkpoint."""
    best = one.result.get("best", {})
    rows = [
        [name, f"{value:.6g}", f"{best[name]:.6g}" if name in best else ""]
        for name, value in one.result.get("metrics", {}).items()
    ]
    return Table(["metric", "at the end", "best checkpoint"], rows)


def logged(one: Facts) -> Table:
    """Every metric of the log: where it began, where it ended, and between what it was."""
    rows = [
        [*([part.name] if part.name else []), name, *(f"{value:.5g}" for value in _course(curve.values))]
        for part in one.parts
        for name, curve in part.curves.items()
    ]
    stage = ["stage"] if one.parts[0].name else []
    return Table([*stage, "metric", "first", "last", "lowest", "highest"], rows)


def _course(values: Any) -> tuple[float, ...]:
    return values[0], values[-1], np.min(values), np.max(values)


def evaluations(one: Facts) -> Table:
    """What `evaluate` measured since."""
    metric = "evaluation/return_mean"
    rows = [
        [told["at"], told["which"], str(told["seed"]), f"{told['metrics'].get('evaluation/episodes', 0):.0f}",
         f"{told['metrics'].get(metric, np.nan):.6g}"]
        for told in one.evaluations
    ]  # fmt: skip
    return Table(["at", "checkpoint", "seed", "episodes", metric], rows)


def config(one: Facts) -> Table:
    """The whole config of a run."""
    return Table(["option", "value"], [[key, json.dumps(value)] for key, value in flattened(one.settings["config"])])


def commands_of(asked: Asked) -> list[tuple[str, list[str]]]:
    """The commands that run each group again: where its runs differ in their seed alone, one for all."""
    found = []
    for group in asked.groups:
        commands = [list(asked.again[facts.folder].commands) for facts in group.runs if facts.folder in asked.again]
        found.append((group.name, _joined(commands, group)))
    return [(name, several) for name, several in found if several]


def _joined(commands: Sequence[Sequence[str]], group: Group) -> list[str]:
    """One command for all seeds where the commands are the same but for these."""
    marks = [f"--seed={facts.settings['seed']}" for facts in group.runs]
    if len(commands) == len(marks) > 1 and all(len(several) == 1 for several in commands):
        rest = {several[0].replace(f" {mark}", "") for several, mark in zip(commands, marks, strict=True)}
        if len(rest) == 1:
            seeds = ",".join(str(seed) for seed in sorted({facts.settings["seed"] for facts in group.runs}))
            return [f"{rest.pop()} --seeds {seeds}"]
    return list(dict.fromkeys(command for several in commands for command in several))


def next_commands(one: Facts, *, has_policy: bool) -> list[str]:
    """What else can be done with the run."""
    run = shlex.quote(str(one.folder))
    verbs = [f"diagnose {run}", f"compare {shlex.quote(one.settings['experiment'])}"]
    if has_policy:
        verbs = [f"evaluate {run} --episodes 100", f"play {run}", *verbs]
    if one.state.status != "completed":
        verbs = [f"resume {run}", *verbs]
    return [f"{program()} {verb}" for verb in verbs]


def lineage(one: Facts) -> Table:
    """The run's ancestors, the oldest first, the run itself, and its stages."""
    rows = [["ancestor", folder, "", "", ""] for folder in reversed(one.ancestors)]
    rows.append(["this run", str(one.folder), *_went(one.result, one.state.status)])
    rows += [
        ["stage", part.name, *_went(part.result, part.result.get("status", "not finished"))]
        for part in one.parts
        if part.name
    ]
    return Table(["what", "where", "status", "came to", "time"], rows)


def _went(result: Mapping[str, Any], status: str) -> list[str]:
    counters = ", ".join(
        f"{count:,} {name.replace('_', ' ')}" for name, count in result.get("counters", {}).items() if count
    )
    return [status, counters, duration(result["wall_time_s"]) if result.get("wall_time_s") else ""]


def costs(asked: Asked) -> Table:
    """Where the time and the memory of each run went."""
    rows = []
    for facts in asked.runs:
        wall, training = facts.result.get("wall_time_s"), facts.result.get("training_time_s")
        speeds = [part.speed for part in facts.parts if part.speed is not None]
        rate = (
            f"{short(float(np.median(np.concatenate([one.values for one in speeds]))))} {facts.parts[-1].rate_name}/s"
            if speeds
            else ""
        )
        loads = [row["load_average"] for part in facts.parts for row in part.timing if "load_average" in row]
        memory = facts.peak_memory_bytes
        rows.append(
            [
                facts.name,
                duration(facts.state.wall_time_s) if facts.state.wall_time_s else "",
                duration(training) if training else "",
                duration(wall - training) if wall and training and wall >= training else "",
                rate,
                f"{memory / 2**20:,.0f} MiB" if memory else "",
                f"{np.mean(loads):.1f} on {facts.environment.get('cpus', '?')} CPUs" if loads else "",
                energy_of(facts),
            ]
        )
    return Table(
        ["run", "whole", "training", "start, last evaluation", "median speed", "peak memory", "load", "energy"], rows
    )


def energy_of(facts: Facts) -> str:
    """What the run cost in energy: of its result, or, where none is written yet, of its newest row."""
    if told := facts.result.get("energy"):
        return in_words(told)
    rows = [part.timing[-1] for part in facts.parts if part.timing and "energy_j" in part.timing[-1]]
    value, low, high = (short(sum(row[f"energy{which}_j"] for row in rows)) for which in ("", "_low", "_high"))
    return f"{value} J ({low} to {high}) so far" if rows else ""


def data_reports(asked: Asked) -> list[tuple[str, DataReport]]:
    """What a look at the data found before each run, where it was asked for."""
    files = [(facts.name, path) for facts in asked.runs for path in sorted(facts.folder.rglob(REPORT))]
    return [(name, DataReport.of(read_json(path))) for name, path in files]


def environments(asked: Asked) -> list[tuple[str, list[tuple[str, str]], list[tuple[str, str]]]]:
    """With what the runs were made: which of them, the main facts, and the packages."""
    groups: dict[str, list[Facts]] = {}
    for facts in asked.runs:
        groups.setdefault(json.dumps(facts.environment, sort_keys=True), []).append(facts)
    found = []
    for several in groups.values():
        told = several[0].environment
        dirty = {True: ", with changes that are not committed", False: "", None: ""}[told.get("dirty")]
        sources = ", ".join(dict.fromkeys(facts.settings["source_hash"][:12] for facts in several))
        main = [
            ("commit", f"{told.get('commit') or 'no repository'}{dirty}"),
            ("source", f"{sources} (the beginning of the hash of the code that computed it)"),
            ("python", str(told.get("python", "not known"))),
            ("hardware", hardware(told)),
            ("computed on", _chosen(several[0])),
        ]
        who = "" if asked.one else ", ".join(dict.fromkeys(facts.name for facts in several))
        found.append((who, main, sorted(told.get("packages", {}).items())))
    return found


def _chosen(facts: Facts) -> str:
    chosen = facts.settings.get("chosen", {})
    return ", ".join(f"{name} {value}" for name, value in chosen.items() if not isinstance(value, list)) or "not known"


def exactness(asked: Asked) -> list[str]:
    """Whether the runs are what the same seeds give again, bit for bit, or why not."""
    lines = [f"{facts.name}: not exact: {why}" for facts in asked.runs for why in facts.result.get("inexact", ())]
    ended = [facts for facts in asked.runs if facts.result]
    if lines or not ended:
        return lines or ["Not known: no run has ended yet."]
    return [
        "Exact: the same commit, packages and machine give the same bits again, also of a run that is stopped between."
    ]


@dataclass(frozen=True)
class Video:
    """A video, linked by its path from the page, and embedded where there is room."""

    name: str
    run: str
    path: Path
    link: str
    embedded: str | None = None


def videos(asked: Asked, out: Path) -> list[Video]:
    """Those of all runs."""
    return [
        Video(path.name, facts.name, path, Path(os.path.relpath(path, out.parent)).as_posix())
        for facts in asked.runs
        for path in facts.videos
    ]


def title(asked: Asked) -> str:
    """What the page is about."""
    if (one := asked.one) is not None:
        return one.name
    names = list(dict.fromkeys(facts.settings["experiment"] for facts in asked.runs)) or asked.names
    return " and ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"
