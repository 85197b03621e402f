"""The verdicts in docs/results/ as a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatch
from statistics import fmean
from typing import Any

from training.claims import claim_of

HEADER = """\
| experiment | claim | measured | 95 % interval | seeds | holds | env steps | env steps/s |
|---|---|---|---|---|---|---|---|
"""


def table(reports: Sequence[Mapping[str, Any]], pattern: str) -> str:
    """The Markdown table of the experiments whose names match the pattern; empty when none does."""
    return table_of(reports, [report["experiment"] for report in reports if fnmatch(report["experiment"], pattern)])


def table_of(reports: Sequence[Mapping[str, Any]], names: Collection[str]) -> str:
    """The same of the experiments of these names, a row for each claim."""
    rows = [row for report in reports if report["experiment"] in names for row in _rows(report)]
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
