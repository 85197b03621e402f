"""The benchmarks in docs/results/benchmarks/ as a table and as words; `reports/tables.py` puts them in the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from training.run.files import read_json

RESULTS = Path("docs", "results", "benchmarks")
PICTURE = Path("docs", "results", "benchmarks.svg")
RACE_PICTURE = Path("docs", "results", "race.svg")
HEADER = """\
| workload | peer | ratio | least to most | floor | aim | ours | peer's | memory, ours / peer's | pairs |
|---|---|---|---|---|---|---|---|---|---|
"""
MIB = 2**20
RACE = "race_*"
MEAN_FLOOR, MEAN_AIM = 4.0, 8.0
"""Of the geometric mean over the tasks of the race."""


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """Every report in a folder of results, in alphabetical order."""
    return [read_json(file) for file in sorted(folder.glob("*.json"))]


def table(reports: Sequence[Mapping[str, Any]], patterns: str) -> str:
    """The Markdown table of the benchmarks whose names match one of the patterns, which commas divide; empty when none
    does. Those of a race end with a row about all of them."""
    chosen = matching(reports, patterns)
    rows = [_row(report) for report in chosen]
    if patterns == RACE:
        rows += over_all(chosen)
    return HEADER + "".join(f"| {' | '.join(row)} |\n" for row in rows) if rows else ""


def matching(reports: Sequence[Mapping[str, Any]], patterns: str) -> list[Mapping[str, Any]]:
    """Those whose names match one of the patterns, which commas divide."""
    return [report for report in reports if any(fnmatch(report["benchmark"], each) for each in patterns.split(","))]


def over_all(reports: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row with the geometric mean of the ratios, the least and the greatest; none where nothing was measured."""
    ratios = [report["ratio"]["median"] for report in reports if report["ratio"] is not None]
    if not ratios:
        return []
    spread = f"{min(ratios):.3g} to {max(ratios):.3g}"
    means = [f"{geometric_mean(ratios):.3g}", spread, f"{MEAN_FLOOR:g}", f"{MEAN_AIM:g}"]
    return [[f"**geometric mean of {len(ratios)} tasks**", reports[0]["peer"], *means, *["-"] * 4]]


def describe(report: Mapping[str, Any]) -> str:
    """One line: the ratio, what was asked for and on how many pairs it rests."""
    name, peer, ratio = report["benchmark"], report["peer"], report["ratio"]
    if ratio is None:
        return f"{name}: no pair counts, each failed"
    floor = "no floor" if report["floor"] is None else f"floor {report['floor']:.3g}"
    holds = "" if report["floor"] is None else ", holds" if report["holds"] else ", does not hold"
    failed = f", {report['pairs_failed']} failed" if report["pairs_failed"] else ""
    spread = f"{ratio['min']:.3g} to {ratio['max']:.3g}"
    pairs = f"{report['pairs_counted']} pairs{failed}{_not_there(report)}"
    return f"{name}: {ratio['median']:.3g} times {peer} ({spread}; {floor}{holds}; {pairs})"


def _row(report: Mapping[str, Any]) -> list[str]:
    ratio, ours, theirs = report["ratio"], report["ours"], report["theirs"]
    failed = f", {report['pairs_failed']} failed" if report["pairs_failed"] else ""
    pairs = f"{report['pairs_counted']}{failed}{_not_there(report)}"
    if ratio is None:
        return [report["title"], report["peer"], *["-"] * 7, pairs]
    memory = " / ".join(f"{side['peak_memory_bytes'] / MIB:,.0f} MiB" for side in (ours, theirs))
    return [
        report["title"],
        report["peer"],
        f"{ratio['median']:.3g}",
        f"{ratio['min']:.3g} to {ratio['max']:.3g}",
        _number(report["floor"]),
        _number(report["aim"]),
        _figure(ours["figure"], report["figure"]),
        _figure(theirs["figure"], report["figure"]),
        memory,
        pairs,
    ]


def _not_there(report: Mapping[str, Any]) -> str:
    """How often the peer's whole time counts, at the end of which it was not where it should be."""
    count = report.get("peer_failed", 0)
    return f", in {count} the peer did not get there" if count else ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _figure(value: float, figure: str) -> str:
    return f"{value:,.0f}/s" if figure.startswith("per_second") else f"{value:.1f} s"
