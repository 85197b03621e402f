"""The verdicts in docs/results/ as a table, each of a source that is marked where it has changed since."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from statistics import fmean
from typing import Any

from reports.benchmarks import read_reports
from training.claims import Verdict, claim_of, measured_in_words, percent
from training.run.provenance import source_hash

RESULTS = Path("docs", "results")
STALE = " (stale)"
"""Beside a verdict whose experiment computes with other code now."""
HEADER = """\
| experiment | claim | measured | seeds | holds | chance to hold again | env steps | env steps/s |
|---|---|---|---|---|---|---|---|
"""


def read_results(root: Path, read: Callable[[float], None] = lambda _: None) -> list[dict[str, Any]]:
    """Every report of `verify`, in alphabetical order; `stale` where the code has changed since or was uncommitted.

    A report is of the source it was measured with, and of that with which one seed was `confirmed` to end the same.
    `read` is told how much of them is, in (0, 1].
    """
    reports, found = read_reports(root / RESULTS), []
    for number, report in enumerate(reports, start=1):
        found.append({**report, "stale": _stale(report)})
        read(number / len(reports))
    return found


def _stale(report: Mapping[str, Any]) -> bool:
    known = {report["source_hash"], report.get("confirmed", {}).get("source_hash")}
    return bool(report["dirty"]) or source_hash(report["experiment"]) not in known


def table(reports: Sequence[Mapping[str, Any]], pattern: str) -> str:
    """The Markdown table of the experiments whose names match the pattern; empty when none does."""
    return table_of(reports, [report["experiment"] for report in reports if fnmatch(report["experiment"], pattern)])


def table_of(reports: Sequence[Mapping[str, Any]], names: Collection[str]) -> str:
    """The same of the experiments of these names, a row for each claim."""
    rows = [row for report in reports if report["experiment"] in names for row in _rows(report)]
    return HEADER + "".join(rows) if rows else ""


def _rows(report: Mapping[str, Any]) -> list[str]:
    runs = [figures for figures in report["runs"][report["experiment"]] if "failed" not in figures]
    env_steps = fmean(figures["env_steps"] for figures in runs) if runs else 0
    env_steps_per_s = env_steps / fmean(figures["training_time_s"] for figures in runs) if env_steps else 0
    rows = []
    for verdict in report["claims"]:
        again = verdict["again"]
        cells = [
            f"`{report['experiment']}`",
            verdict["text"],
            f"{_measured(verdict)}{_final_beside(verdict, runs)}",
            str(len(verdict["seeds"])),
            f"{'yes' if verdict['holds'] else 'no'}{STALE if report.get('stale') else ''}",
            "" if again is None else percent(again),
            f"{env_steps:,.0f}" if env_steps else "none: from data",
            f"{env_steps_per_s:,.0f}" if env_steps else "",
        ]
        rows.append(f"| {' | '.join(cells)} |\n")
    return rows


def _measured(verdict: Verdict) -> str:
    if verdict["failed"]:
        return f"{len(verdict['failed'])} of {len(verdict['seeds'])} seeds failed"
    return measured_in_words(verdict)


def _final_beside(verdict: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> str:
    """The best and the final policy are kept apart: a claim about the best one is shown with the final one's mean."""
    claim = claim_of(verdict)
    final = [figures["final"][claim.metric] for figures in runs if claim.metric in figures["final"]]
    if claim.at == "final" or claim.baseline is not None or not final:
        return ""
    return f" (final: {fmean(final):.4g})"
