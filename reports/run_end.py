"""What a command prints once a run has ended."""

from __future__ import annotations

from collections.abc import Mapping

from training.claims import describe
from training.run.run import Run


def print_end(run: Run) -> None:
    """What was measured, where the copies are, why it is not exact, the verdicts, and where the run is."""
    result = run.result
    print_measured(result["metrics"], result["best"])
    print()
    for tracker, where in run.copies:
        print(f"{tracker}: {_told(tracker, where, run)}")
    if why := result.get("stopped_early"):
        counters = result["counters"]
        unit = "env_steps" if counters["env_steps"] else "updates"
        print(f"stopped early at {counters[unit]:,} {unit}: {why}")
    for why in result["inexact"]:
        print(f"not exact: {why}")
    for claim, why in result["not_judged"].items():
        print(f"claim: {claim}: {why}")
    for verdict in result["claims"]:
        print(f"claim: {describe(verdict)}")
    print(f"run: {run.folder}")


def _told(tracker: str, where: str, run: Run) -> str:
    """Where a copy is, and what to do with it."""
    if tracker == "tensorboard":
        return f"{where}, look at it with: tensorboard --logdir {where}"
    return where if where.startswith("http") else f"offline copy in {where}, send it with: make sync RUN={run.folder}"


def print_measured(metrics: Mapping[str, float], best: Mapping[str, float] | None = None) -> None:
    """Prints a line for each metric: its value, and beside it the best checkpoint's if there is one."""
    values = {name: f"{value:.6g}" for name, value in metrics.items()}
    name_width, value_width = (max(map(len, words), default=0) for words in (values, values.values()))
    for name, value in values.items():
        beside = f"best checkpoint {best[name]:.6g}" if best and name in best else ""
        print(f"{name:{name_width}}  {value:{value_width}}  {beside}".rstrip())
