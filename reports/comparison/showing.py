"""A comparison as tables on the terminal, and as rows of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from reports.comparison.comparing import INTERVALS
from reports.comparison.computed import Comparison, Part
from reports.comparison.statistics import Figure
from training.claims import CONFIDENT, percent
from training.notebook import in_notebook

PROFILE_POINTS = (0, 25, 50, 75)
"""Which of the 101 points of a profile the terminal shows; at the last one nothing is above."""
ALL = "all environments"
LONGEST_NAME = 16
"""Of a group in a table."""


class Table(NamedTuple):
    """Words in columns, for the terminal or a page."""

    columns: list[str]
    rows: list[list[str]]


def print_comparison(found: Comparison) -> None:
    """Prints what was compared, a block for each environment, what differs, what was left out, and what to know."""
    found, legend = _with_short_names(found)
    better = "lower is better" if found.lower_is_better else "higher is better"
    print(f"{found.at} {found.metric}, {better}; {INTERVALS}")
    for short, name in legend.items():
        print(f"{short}: {name}")
    parts = dict(found.tasks)
    if found.overall is not None:
        parts[ALL] = found.overall
    for name, part in parts.items():
        print(f"\n{name}" + (f", {found.normalized}" if name == ALL else _budget(part)))
        for table in tables(part, over_tasks=name == ALL):
            _print(table)
        for line in order(part):
            print(line)
    if found.differences:
        print("\nWhat differs in the configs")
        _print(differences(found))
    for title, lines in (
        ("Left out", [f"{source}: {why}" for source, why in found.left_out]),
        ("To know", found.remarks),
    ):
        if lines:
            print(f"\n{title}")
            for line in lines:
                print(f"- {line}")


def csv_rows(found: Comparison) -> str:
    """Every figure as a row: environment, group, quantity, value, and its bounds where there are any."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["environment", "group", "quantity", "value", "low", "high", "seeds"])
    parts = {**found.tasks, **({ALL: found.overall} if found.overall else {})}
    for task, part in parts.items():
        for name, summary in part.groups.items():
            seeds = sum(map(len, summary.scores.values()))
            for quantity, one in _figures(part, name):
                writer.writerow([task, name, quantity, *("" if number is None else number for number in one), seeds])
        for pair in part.pairs:
            against = f"probability of improvement over {pair.second}"
            figures = ["" if number is None else number for number in pair.probability_of_improvement]
            writer.writerow([task, pair.first, against, *figures, ""])
            if pair.chance_of_order is not None:
                writer.writerow(
                    [task, pair.first, f"chance of order over {pair.second}", pair.chance_of_order, "", "", ""]
                )
    return out.getvalue()


def _figures(part: Part, name: str) -> Iterator[tuple[str, Figure]]:
    summary = part.groups[name]
    yield from (("mean", summary.mean), ("median", summary.median), ("interquartile mean", summary.iqm))
    if summary.optimality_gap is not None:
        yield f"optimality gap to {part.target:g}", summary.optimality_gap
    if summary.efficiency is not None:
        yield "area under curve", summary.efficiency.area
        for fraction, one in summary.efficiency.at.items():
            if one is not None:
                yield f"at {percent(fraction)} of {part.budget:.0f} {part.unit}", one
    if summary.wall_time_s is not None:
        yield "wall time in seconds", summary.wall_time_s


def shown(one: Figure | None) -> str:
    """A figure as `498.2 [492.1, 504.3]`."""
    if one is None:
        return "-"
    if one.low is None or one.high is None:
        return f"{one.value:.4g}"
    return f"{one.value:.4g} [{one.low:.4g}, {one.high:.4g}]"


def _with_short_names(found: Comparison) -> tuple[Comparison, dict[str, str]]:
    """With numbers in place of the names of groups where these are too long for a table, and what the numbers mean."""
    names = list(dict.fromkeys(name for part in found.tasks.values() for name in part.groups))
    if max(map(len, names)) <= LONGEST_NAME:
        return found, {}
    short = {name: f"group {number}" for number, name in enumerate(names, start=1)}

    def renamed(part: Part) -> Part:
        pairs = [replace(pair, first=short[pair.first], second=short[pair.second]) for pair in part.pairs]
        return replace(part, groups={short[name]: one for name, one in part.groups.items()}, pairs=pairs)

    differences = {
        key: {short[name]: value for name, value in values.items()} for key, values in found.differences.items()
    }
    tasks = {task: renamed(part) for task, part in found.tasks.items()}
    overall = None if found.overall is None else renamed(found.overall)
    changed = replace(found, tasks=tasks, overall=overall, differences=differences)
    return changed, {number: name for name, number in short.items()}


def _budget(part: Part) -> str:
    return f", the first {part.budget:,.0f} {part.unit} of each run" if part.budget else ""


def _print(table: Table) -> None:
    import rich.table
    from rich.console import Console

    drawn = rich.table.Table()
    for column in table.columns:
        drawn.add_column(column, overflow="fold")
    for row in table.rows:
        drawn.add_row(*row)
    # In a notebook too this is text, wherever it is printed to.
    Console(force_jupyter=False, force_terminal=False if in_notebook() else None).print(drawn)


def tables(part: Part, *, over_tasks: bool = False) -> Iterator[Table]:
    """The scores, how early they are good in one environment, and which share of runs is above a few of them."""
    yield _scores(part, over_tasks=over_tasks)
    for table in (None if over_tasks else _speed(part), _profiles(part)):
        if table is not None:
            yield table


def _scores(part: Part, *, over_tasks: bool) -> Table:
    gap = [] if part.target is None else [f"optimality gap to {part.target:g}"]
    median = "median of environments" if over_tasks else "median of seeds"
    table = Table(["group", "runs" if over_tasks else "seeds", "mean", median, "interquartile mean", *gap], [])
    for name, summary in part.groups.items():
        gaps = [] if part.target is None else [shown(summary.optimality_gap)]
        count = str(sum(map(len, summary.scores.values())))
        table.rows.append([name, count, shown(summary.mean), shown(summary.median), shown(summary.iqm), *gaps])
    return table


def _speed(part: Part) -> Table | None:
    """Scores at fractions of the budget, the area under the curve, and how long it took."""
    told = {name: summary for name, summary in part.groups.items() if summary.efficiency is not None}
    if not told:
        return None
    fractions = [f"at {percent(fraction)}" for fraction in next(iter(told.values())).efficiency.at]  # type: ignore[union-attr]
    table = Table(["group", *fractions, "area under curve", "minutes"], [])
    for name, summary in told.items():
        efficiency, wall = summary.efficiency, summary.wall_time_s
        assert efficiency is not None
        at = ["-" if one is None else f"{one.value:.4g}" for one in efficiency.at.values()]
        table.rows.append([name, *at, shown(efficiency.area), "-" if wall is None else f"{wall.value / 60:.3g}"])
    return table


def _profiles(part: Part) -> Table | None:
    """The performance profiles at a few scores: which share of runs is above."""
    first = next(iter(part.groups.values()))
    taus = first.profile["tau"]
    if taus[0] == taus[-1]:
        return None
    rows = [
        [name, *(percent(summary.profile["value"][point]) for point in PROFILE_POINTS)]
        for name, summary in part.groups.items()
    ]
    return Table(["share of runs above", *(f"{taus[point]:.4g}" for point in PROFILE_POINTS)], rows)


def order(part: Part) -> Iterator[str]:
    """How sure the order is: a line for each two groups that are next to each other."""
    names = list(part.groups)
    for pair in part.pairs:
        if names.index(pair.second) - names.index(pair.first) != 1:
            continue
        better = shown(pair.probability_of_improvement)
        line = f"{pair.first} over {pair.second}: a run is better with probability {better}"
        if part.groups[pair.first].mean.value == part.groups[pair.second].mean.value:
            line += "; their means are equal"
        elif pair.chance_of_order is None:
            line += "; these seeds do not tell whether other ones would have their means in this order"
        else:
            line += (
                f"; as many other seeds have their means in this order with a chance of {percent(pair.chance_of_order)}"
            )
            if pair.chance_of_order < CONFIDENT:
                count = pair.seeds_to_settle
                line += (
                    f", {percent(CONFIDENT)} takes {count} each"
                    if count
                    else "; these seeds leave open which is better, and no number of others like them would settle it"
                )
        yield line


def differences(found: Comparison) -> Table:
    """What each group has of the keys of the config in which they differ."""
    names = list(next(iter(found.differences.values())))
    return Table(["", *names], [[key, *(values[name] for name in names)] for key, values in found.differences.items()])
