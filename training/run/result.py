"""The result of a run: how far it got, what was measured, whether it is exact, and whether its claims hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from training.claims import Claims, judge_seed
from training.core import Counters
from training.energy.account import as_result, joined_results
from training.energy.intensity import EnergyOptions
from training.run.checkpoint import Checkpoint
from training.run.clock import Clock
from training.run.files import read_json, write_json

Status = Literal["completed", "interrupted", "failed"]


@dataclass(frozen=True)
class Account:
    """What a run tells of its training, whatever was measured."""

    inexact: list[str]
    """Why it is not the same, bit for bit, as an uninterrupted run; empty when it is."""
    wall_time_s: float
    training_time_s: float
    energy: Mapping[str, Any] | None = None
    """As `result.json` has it; None where it was not metered."""


def account_of(clock: Clock, checkpoint: Checkpoint | None, return_gained: float | None = None) -> Account:
    """The account of a run that trains itself and gained so much return."""
    inexact = clock.inexact if checkpoint is None else checkpoint.inexact
    clock.meter.measure()
    energy = as_result(clock.meter.energy, clock.meter.options, return_gained)
    return Account(list(inexact), round(clock.wall_time_s, 3), round(clock.training_time_s, 3), energy)


def account_in(result: Mapping[str, Any]) -> Account:
    """The account of a run that is finished, as its `result.json` has it."""
    times = float(result["wall_time_s"]), float(result["training_time_s"])
    return Account(list(result["inexact"]), *times, result.get("energy"))


def joined(own: Account, stages: Sequence[Account], options: EnergyOptions) -> Account:
    """The account of a run of several stages; `own` is that of the run itself, which trains nothing."""
    return Account(
        list(dict.fromkeys([*own.inexact, *(reason for stage in stages for reason in stage.inexact)])),
        sum(stage.wall_time_s for stage in stages),
        sum(stage.training_time_s for stage in stages),
        joined_results([account.energy or {} for account in (own, *stages)], options),
    )


def read_result(folder: Path) -> dict[str, Any]:
    """The contents of a run's `result.json`; empty when no segment of the run has ended yet."""
    return read_json(folder / "result.json")


def return_gained(folder: Path, metrics: Mapping[str, float]) -> float | None:
    """By how much the return at the end is above the first one in the log of a run; None where it has no returns."""
    final, log = metrics.get("evaluation/return_mean"), folder / "metrics.jsonl"
    if final is None or not log.exists():
        return None
    names = ("rollout/return_mean", "evaluation/return_mean")
    with log.open(encoding="ascii") as lines:
        for row in map(json.loads, lines):
            if first := [float(row[name]) for name in names if name in row]:
                gained = float(final) - first[0]
                return gained if math.isfinite(gained) else None
    return None


def unit_of(counters: Mapping[str, float]) -> Literal["env_steps", "updates"]:
    """What the work of a run is counted in: env steps where it acts, otherwise updates."""
    return "env_steps" if counters["env_steps"] else "updates"


def write_result(
    folder: Path,
    settings: Mapping[str, Any],
    status: Status,
    now: Counters,
    metrics: Mapping[str, float],
    *,
    best: Mapping[str, Any],
    stopped_early: str | None,
    checkpoint: Path | None,
    account: Account,
    claims: Claims,
) -> dict[str, Any]:
    """Writes the `result.json` of a run, whose claims are judged when it is completed; returns its contents.

    Args:
        folder: of the run.
        settings: the contents of its `config.json`.
        status: how it ended.
        now: how far it came.
        metrics: what was measured at the end.
        best: what its best checkpoint measured.
        stopped_early: why its training ended before its budget was spent; None: it did not.
        checkpoint: its newest one.
        account: what it tells of its training.
        claims: what it is judged by.
    """
    result = {
        "experiment": settings["experiment"],
        "status": status,
        "exact": not account.inexact,
        "inexact": account.inexact,
        "seed": settings["seed"],
        "counters": asdict(now),
        "stopped_early": stopped_early,
        "metrics": {name: float(value) for name, value in metrics.items()},
        "best": dict(best),
        "claims": [],
        "not_judged": {},
        "wall_time_s": account.wall_time_s,
        "training_time_s": account.training_time_s,
        "energy": account.energy,
        "parent": settings["parent"],
        "checkpoint": None if checkpoint is None else checkpoint.relative_to(folder).as_posix(),
    }
    if status == "completed":
        judged = judge_seed(claims, settings["seed"], result)
        result["claims"], result["not_judged"] = judged.verdicts, judged.unjudged
    write_json(folder / "result.json", result)
    return result
