"""Groups of runs: one for each label and difference of config, with its seeds in each environment.

What a run solves (its environment, its data) is its task. How it is computed (device, threads) makes no group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reports.comparison.records import LeftOut, Record, how_scored, score
from training.claims import MANNER, PROBLEM
from training.errors import UserError

HOW = ("device", "threads", "compile", "learners", "checkpoint", "log_every")
"""How a run is computed and kept: what it learns is not about that."""
IS_NO_DIFFERENCE = ("seed", "experiment", "exp_name", "env.id", "budget")
UNKNOWN = "unknown environment"
SAME_BUDGET = 1.05
"""Runs end a little after their budget: what is no further apart than this factor is the same one."""


@dataclass(frozen=True)
class Seed:
    """One run in its group."""

    record: Record
    score: float


@dataclass
class Group:
    """Runs that differ in their seed alone, in each of their tasks."""

    name: str
    seeds: dict[str, list[Seed]] = field(default_factory=dict)
    """By task."""


@dataclass
class Grouped:
    """The groups in the order in which they were asked for, and what must be said of them."""

    groups: list[Group]
    tasks: list[str]
    differences: dict[str, dict[str, str]]
    """By config key what each group has; only keys in which they differ."""
    left_out: list[LeftOut]
    remarks: list[str]


def group(
    records: Sequence[Record],
    metric: str,
    at: str,
    left_out: Iterable[LeftOut] = (),
    env: str | None = None,
    *,
    lower_is_better: bool = False,
) -> Grouped:
    """Puts runs into groups.

    Args:
        records: the runs.
        metric: what is compared; a run without it is left out.
        at: `final` or `best`.
        left_out: runs that were left out before.
        env: the environment of foreign logs that name none; None: that of all the others.
        lower_is_better: the best of a run is its lowest score.

    Raises:
        UserError: no run has the metric, or a foreign log names no environment and the others do not agree on one.
    """
    out = list(left_out)
    remarks: list[str] = []
    scored: list[Seed] = []
    for record in records:
        value = score(record, metric, at, lower_is_better=lower_is_better)
        if isinstance(value, LeftOut):
            out.append(value)
        else:
            scored.append(Seed(record, value))
    if not scored:
        known = sorted({name for record in records for name in record.metrics})
        shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        why = f"they have {shown}" if known else "; ".join(f"{source}: {why}" for source, why in out[:3])
        raise UserError(f"no run can be compared by its {at} {metric}: {why or 'there is no run'}")
    tasks = _tasks([seed.record for seed in scored], env, remarks)
    scored, tasks = _without_twins(scored, tasks, out)
    varying = _varying(scored, tasks)
    groups: dict[str, Group] = {}
    for seed, task in zip(scored, tasks, strict=True):
        name = _name(seed.record, varying[seed.record.label])
        groups.setdefault(name, Group(name)).seeds.setdefault(task, []).append(seed)
    found = list(groups.values())
    remarks += _remarks(found, metric, at)
    return Grouped(found, list(dict.fromkeys(tasks)), _differences(found), out, remarks)


def is_how(key: str) -> bool:
    """Whether a config key says how a run is computed or measured now and then, not what it learns."""
    parts = key.split(".")
    return parts[0] in HOW or (is_problem(key) and any(part in MANNER for part in parts))


def is_problem(key: str) -> bool:
    """Whether a config key belongs to what is solved and how that is measured, by the rule of the claims."""
    return any(part in PROBLEM for part in key.split("."))


def _tasks(records: Sequence[Record], env: str | None, remarks: list[str]) -> list[str]:
    """The task of each run by name: the environment, with what differs in it where one id is several tasks."""
    keys = [_task_key(record) for record in records]
    own = [key for record, key in zip(records, keys, strict=True) if not record.foreign]
    names = _task_names(own)
    logged = dict.fromkeys(
        record.config["env.id"] for record in records if record.foreign and "env.id" in record.config
    )
    tasks: list[str] = []
    for record, key in zip(records, keys, strict=True):
        if not record.foreign:
            tasks.append(names[key])
            continue
        told = record.config.get("env.id") or env
        fitting = [names[other] for other in dict.fromkeys(own) if told in (None, dict(other).get("env.id"))]
        if told is None:
            fitting += [name for name in logged if name not in names.values()]
        elif not fitting:
            fitting = [str(told)]
        if len(fitting) > 1:
            raise UserError(f"{record.source} may be of {' or '.join(fitting)}: name its environment with --env")
        tasks.append(fitting[0] if fitting else UNKNOWN)
        if told is None and fitting:
            remarks.append(f"{record.source} names no environment: taken as {fitting[0]}, as all others are")
    return tasks


def _task_key(record: Record) -> tuple[tuple[str, str], ...]:
    about = {key: value for key, value in record.config.items() if is_problem(key) and not is_how(key)}
    about = {key: value for key, value in about.items() if not key.startswith("evaluation.")}
    if not about:
        about = {"experiment": record.config.get("experiment")}
    return tuple((key, value if key == "env.id" else repr(value)) for key, value in sorted(about.items()))


def _task_names(keys: Sequence[tuple[tuple[str, str], ...]]) -> dict[tuple[tuple[str, str], ...], str]:
    """A short name for each task, which names what is different where the short ones are the same."""
    distinct = list(dict.fromkeys(keys))
    short = {
        key: str(dict(key).get("env.id") or ", ".join(value.strip("'") for _, value in key[:2])) for key in distinct
    }
    names = {}
    for key in distinct:
        same = [dict(other) for other in distinct if short[other] == short[key]]
        differs = [f"{name} {value}" for name, value in key if any(other.get(name) != value for other in same)]
        names[key] = f"{short[key]} ({', '.join(differs)})" if len(same) > 1 else short[key]
    return names


def _without_twins(scored: list[Seed], tasks: list[str], out: list[LeftOut]) -> tuple[list[Seed], list[str]]:
    """Without runs of a seed that is there already: the same run twice is no second seed. The newest one stays."""
    newest: dict[Any, int] = {}
    for index, (seed, task) in enumerate(zip(scored, tasks, strict=True)):
        record = seed.record
        key: Any = (task, record.label, record.seed, _identity(record))
        if record.seed is None:
            key = record.source
        if key in newest:
            out.append(
                LeftOut(scored[newest[key]].record.source, f"seed {record.seed} of {record.label} is there again")
            )
        newest[key] = index
    kept = sorted(newest.values())
    return [scored[index] for index in kept], [tasks[index] for index in kept]


def _identity(record: Record) -> tuple[tuple[str, str], ...]:
    """What it learns with: all of the config but the task, the seed and how it is computed."""
    return tuple(
        sorted(
            (key, repr(value))
            for key, value in record.config.items()
            if not is_problem(key) and not is_how(key) and key not in IS_NO_DIFFERENCE
        )
    )


def _varying(scored: Sequence[Seed], tasks: Sequence[str]) -> dict[str, list[str]]:
    """By label the config keys that have several values among its runs of one task: they make groups of it."""
    varying: dict[str, list[str]] = {}
    values: dict[tuple[str, str, str], set[str]] = {}
    counts: dict[tuple[str, str], int] = {}
    for seed, task in zip(scored, tasks, strict=True):
        label = seed.record.label
        varying.setdefault(label, [])
        counts[label, task] = counts.get((label, task), 0) + 1
        for key, value in (*_identity(seed.record), ("experiment", repr(seed.record.config.get("experiment")))):
            values.setdefault((label, task, key), set()).add(value)
    for (label, _, key), several in values.items():
        if len(several) > 1 and key not in varying[label]:
            varying[label].append(key)
    return varying


def _name(record: Record, varying: Sequence[str]) -> str:
    differs = [f"{key} {_shown(record.config[key])}" for key in varying if key in record.config]
    return ", ".join([record.label, *differs])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _differences(groups: Sequence[Group]) -> dict[str, dict[str, str]]:
    """What differs between the groups; of a group with several values, all of them."""
    of: dict[str, dict[str, str]] = {}
    for one in groups:
        configs = [seed.record.config for seeds in one.seeds.values() for seed in seeds]
        known = {key for config in configs for key in config}
        told = {
            key: " or ".join(dict.fromkeys(_shown(config[key]) for config in configs if key in config))
            for key in sorted(known)
            if not is_how(key) and key not in ("seed", "env.id")
        }
        of[one.name] = told
    keys = dict.fromkeys(key for told in of.values() for key in told)
    return {
        key: {name: told.get(key, "-") for name, told in of.items()}
        for key in keys
        if len({told[key] for told in of.values() if key in told}) > 1
    }


def _remarks(groups: Sequence[Group], metric: str, at: str) -> list[str]:
    """What of the runs that are compared makes them less comparable."""
    found: dict[str, list[str]] = {}
    for one in groups:
        for seed in [seed for seeds in one.seeds.values() for seed in seeds]:
            how = how_scored(seed.record, metric, at)
            about = seed.record.about.get(metric)
            for remark in (*seed.record.remarks, *(told for told in (about, how) if told)):
                found.setdefault(remark, []).append(_run(seed.record, one.name))
    lines = [f"{_listed(who)}: {remark}" for remark, who in found.items()]
    for task in dict.fromkeys(task for one in groups for task in one.seeds):
        records = {one.name: [seed.record for seed in one.seeds[task]] for one in groups if task in one.seeds}
        lines += _unlike(task, records)
    return lines


def _unlike(task: str, records: Mapping[str, Sequence[Record]]) -> list[str]:
    """In what the runs of a task were measured or computed otherwise than each other."""
    lines = []
    own = [record for several in records.values() for record in several if not record.foreign]
    for key in sorted(
        {key for record in own for key in record.config if key.startswith("evaluation.") and not is_how(key)}
    ):
        values = {str(record.config.get(key)) for record in own}
        if len(values) > 1:
            told = "; ".join(f"{name}: {_values(several, key)}" for name, several in records.items())
            lines.append(f"{task}: not the same evaluation, {key} differs ({told})")
    for name, several in records.items():
        if len({record.source_hash for record in several if record.source_hash}) > 1:
            lines.append(f"{task}: the runs of {name} were computed by more than one version of its source")
    if len({record.hardware for record in own}) > 1:
        lines.append(f"{task}: the runs are of several machines, so that wall clocks are not compared on one")
    far = {
        name: sorted({record.env_steps for record in several if record.env_steps}) for name, several in records.items()
    }
    ends = [end for several in far.values() for end in several]
    if ends and max(ends) > SAME_BUDGET * min(ends):
        told = "; ".join(f"{name}: {' or '.join(f'{end:,.0f}' for end in several)}" for name, several in far.items())
        lines.append(f"{task}: not the same budget of env steps ({told}), and each score is at the end of its own")
    return lines


def _values(records: Sequence[Record], key: str) -> str:
    return " or ".join(dict.fromkeys(str(record.config.get(key, "its own")) for record in records))


def _run(record: Record, name: str) -> str:
    return record.source if record.seed is None else f"{name}, seed {record.seed}"


def _listed(who: Sequence[str]) -> str:
    return " and ".join(who) if len(who) <= 2 else f"{who[0]} and {len(who) - 1} more runs"
