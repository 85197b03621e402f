"""What a command prints once a run has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training.claims import describe
from training.diagnosis.finding import Finding
from training.energy.account import in_words
from training.program import program
from training.run.result import unit_of
from training.run.run import Run

FINDINGS = 3
"""So many are printed at the end of a run; causes come before what they cause."""


def print_end(run: Run, findings: Mapping[str, Sequence[Finding]]) -> None:
    """What was measured, where the copies are, why it is not exact, the verdicts, what is wrong, and where the run is.

    `findings` are those of its diagnosis, by stage.
    """
    result = run.result
    print_measured(result["metrics"], result["best"])
    print()
    for tracker, where in run.copies:
        print(f"{tracker}: {_told(tracker, where, run)}")
    if why := result.get("stopped_early"):
        counters = result["counters"]
        unit = unit_of(counters)
        print(f"stopped early at {counters[unit]:,} {unit}: {why}")
    for why in result["inexact"]:
        print(f"not exact: {why}")
    for claim, why in result["not_judged"].items():
        print(f"claim: {claim}: {why}")
    for verdict in result["claims"]:
        print(f"claim: {describe(verdict)}")
    for line in finding_lines(findings, most=FINDINGS):
        print(line)
    count = sum(map(len, findings.values()))
    if count > FINDINGS:
        print(f"{count - FINDINGS} more: {program()} diagnose {run.folder}")
    if energy := result.get("energy"):
        print(f"energy: {in_words(energy)}")
    print(f"run: {run.folder}")


def _told(tracker: str, where: str, run: Run) -> str:
    """Where a copy is, and what to do with it."""
    if tracker == "tensorboard":
        return f"{where}, look at it with: tensorboard --logdir {where}"
    return where if where.startswith("http") else f"offline copy in {where}, send it with: make sync RUN={run.folder}"


def finding_lines(findings: Mapping[str, Sequence[Finding]], most: int | None = None) -> list[str]:
    """The findings of each stage for the console, the first `most` of them."""
    lines = [
        finding.lines(f"diagnosis of {stage}" if stage else "diagnosis")
        for stage, group in findings.items()
        for finding in group
    ]
    return [line for one in lines[:most] for line in one]


def print_measured(metrics: Mapping[str, float], best: Mapping[str, float] | None = None) -> None:
    """Prints a line for each metric: its value, and beside it the best checkpoint's if there is one."""
    values = {name: f"{value:.6g}" for name, value in metrics.items()}
    name_width, value_width = (max(map(len, words), default=0) for words in (values, values.values()))
    for name, value in values.items():
        beside = f"best checkpoint {best[name]:.6g}" if best and name in best else ""
        print(f"{name:{name_width}}  {value:{value_width}}  {beside}".rstrip())
