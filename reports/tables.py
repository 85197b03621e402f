"""The verdicts in docs/results/ and the tables and pictures made of them: no figure in the docs is typed by hand.

A Markdown file asks for a table by a pair of comments, and gets the experiments whose names match the pattern:

    <!-- results:ppo_* -->
    <!-- /results -->

A table of benchmarks is asked for in the same way, by `benchmarks:` and `/benchmarks`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from reports import benchmarks
from reports.plots import draw_learning_curves, draw_ratios
from training.claims import Verdict, claim_of, describe
from training.errors import UserError
from training.run.folder import read_environment
from training.run.logger import read_rows
from training.run.provenance import hardware

RESULTS = Path("docs", "results")
CURVES = RESULTS / "learning_curves.svg"
CURVE = "rollout/return_mean"
CURVE_POINTS = 60
MARKERS = re.compile(r"(<!-- (results|benchmarks):(\S+) -->\n).*?(<!-- /\2 -->)", re.DOTALL)
HEADER = """\
| experiment | claim | measured | 95 % interval | seeds | holds | env steps | env steps/s |
|---|---|---|---|---|---|---|---|
"""


def summary(
    name: str,
    command: str,
    verdicts: Sequence[Verdict],
    results: Mapping[str, Mapping[int, Mapping[str, Any]]],
    *,
    environment_of: Path,
) -> dict[str, Any]:
    """What `verify` writes: the verdicts and the figures they rest on.

    Args:
        name: the experiment.
        command: what gives the same again.
        verdicts: one for each claim.
        results: the `result.json` of every seed, of the experiment and of its baselines, with its `learning_curve`.
        environment_of: the run whose `environment.json` stands for all.
    """
    environment = read_environment(environment_of)
    return {
        "experiment": name,
        "command": command,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "holds": all(verdict["holds"] for verdict in verdicts),
        "claims": list(verdicts),
        "runs": {group: [_figures(result) for result in seeds.values()] for group, seeds in results.items()},
        "commit": environment["commit"],
        "dirty": environment["dirty"],
        "hardware": hardware(environment),
        "python": environment["python"],
        "packages": environment["packages"],
    }


def print_report(report: Mapping[str, Any]) -> None:
    """Prints the claimed metrics of every seed, and the verdicts."""
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys((claim["at"], claim["metric"]) for claim in report["claims"]))
    table = Table()
    for name in ["experiment", "seed", *(f"{at} {metric}" for at, metric in columns), "env steps", "minutes", "exact"]:
        table.add_column(name, overflow="fold")
    for group, seeds in report["runs"].items():
        for figures in seeds:
            measured = [f"{figures[at][metric]:.6g}" if metric in figures[at] else "-" for at, metric in columns]
            minutes = f"{figures['training_time_s'] / 60:.1f}"
            exact = "yes" if figures["exact"] else "no"
            table.add_row(group, str(figures["seed"]), *measured, f"{figures['env_steps']:,}", minutes, exact)
    Console().print(table)
    for verdict in report["claims"]:
        print(f"claim: {describe(verdict)}")


def write_docs(root: Path) -> list[Path]:
    """Draws the pictures and writes the tables in README.md and docs/ anew; returns the files that changed.

    Raises:
        UserError: a table asks for experiments or benchmarks of which there are no results.
    """
    reports = benchmarks.read_reports(root / RESULTS)
    changed = []
    with_curve = [report for report in reports if all(run["curve"] for run in report["runs"][report["experiment"]])]
    if with_curve:
        draw_learning_curves(with_curve, root / CURVES)
    measured = benchmarks.read_reports(root / benchmarks.RESULTS)
    if measured:
        draw_ratios(measured, root / benchmarks.PICTURE)
    tables: dict[str, Callable[[str], str]] = {
        "results": partial(_table, reports),
        "benchmarks": partial(benchmarks.table, measured),
    }
    for file in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        if not file.exists():
            continue
        before = file.read_text(encoding="utf-8")
        after = MARKERS.sub(partial(_replaced, tables=tables, file=file), before)
        if after != before:
            file.write_text(after, encoding="utf-8")
            changed.append(file)
    return changed


def learning_curve(folder: Path) -> list[tuple[int, float]]:
    """The training return of a run as (env_steps, return), thinned out; nothing where it has none, as with stages."""
    if not (folder / "metrics.jsonl").exists():
        return []
    points = [(int(row["env_steps"]), row[CURVE]) for row in read_rows(folder / "metrics.jsonl") if CURVE in row]
    every = -(-len(points) // CURVE_POINTS)
    return [(env_steps, float(f"{value:.6g}")) for env_steps, value in points[::-1][:: max(1, every)][::-1]]


def _replaced(markers: re.Match[str], *, tables: Mapping[str, Callable[[str], str]], file: Path) -> str:
    begin, kind, pattern, end = markers.groups()
    table = tables[kind](pattern)
    if not table:
        command = {"results": "verify", "benchmarks": "make bench"}[kind]
        raise UserError(f"{kind}:{pattern} in {file} matches nothing in {RESULTS}: run `{command}` first")
    return begin + table + end


def _table(reports: Sequence[Mapping[str, Any]], pattern: str) -> str:
    rows = [row for report in reports if fnmatch(report["experiment"], pattern) for row in _rows(report)]
    return HEADER + "".join(rows) if rows else ""


def _rows(report: Mapping[str, Any]) -> list[str]:
    runs = report["runs"][report["experiment"]]
    env_steps = fmean(figures["env_steps"] for figures in runs)
    env_steps_per_s = env_steps / fmean(figures["training_time_s"] for figures in runs)
    rows = []
    for verdict in report["claims"]:
        low, high = verdict["interval"]
        holds = "yes" if verdict["holds"] else "no"
        cells = [
            f"`{report['experiment']}`",
            str(claim_of(verdict)),
            f"{verdict['measured']:.6g}{_final_beside(verdict, runs)}",
            f"{low:.6g} to {high:.6g}",
            str(len(verdict["seeds"])),
            holds,
            f"{env_steps:,.0f}" if env_steps else "none: from data",
            f"{env_steps_per_s:,.0f}" if env_steps else "",
        ]
        rows.append(f"| {' | '.join(cells)} |\n")
    return rows


def _final_beside(verdict: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> str:
    """The best and the final policy are kept apart: a claim about the best one is shown with the final one's mean."""
    if verdict["at"] == "final" or verdict["baseline"] is not None:
        return ""
    return f" (final: {fmean(figures['final'][verdict['metric']] for figures in runs):.4g})"


def _figures(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "seed": result["seed"],
        "final": result["metrics"],
        "best": result["best"],
        "env_steps": result["counters"]["env_steps"],
        "training_time_s": result["training_time_s"],
        "exact": result["exact"],
        "curve": result["curve"],
    }
