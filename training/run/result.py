"""The result of a run: how far it got, what was measured, whether it is exact, and whether its claims hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from training.claims import Claims, judge_seed
from training.core import Counters
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


def account_of(clock: Clock, checkpoint: Checkpoint | None) -> Account:
    """The account of a run that trains itself."""
    inexact = clock.inexact if checkpoint is None else checkpoint.inexact
    return Account(list(inexact), round(clock.wall_time_s, 3), round(clock.training_time_s, 3))


def account_in(result: Mapping[str, Any]) -> Account:
    """The account of a run that is finished, as its `result.json` has it."""
    return Account(list(result["inexact"]), float(result["wall_time_s"]), float(result["training_time_s"]))


def joined(own: Account, stages: Sequence[Account]) -> Account:
    """The account of a run of several stages; `own` is that of the run itself, which trains nothing."""
    return Account(
        list(dict.fromkeys([*own.inexact, *(reason for stage in stages for reason in stage.inexact)])),
        sum(stage.wall_time_s for stage in stages),
        sum(stage.training_time_s for stage in stages),
    )


def read_result(folder: Path) -> dict[str, Any]:
    """The contents of a run's `result.json`; empty when no segment of the run has ended yet."""
    return read_json(folder / "result.json")


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
        "parent": settings["parent"],
        "checkpoint": None if checkpoint is None else checkpoint.relative_to(folder).as_posix(),
    }
    if status == "completed":
        judged = judge_seed(claims, settings["seed"], result)
        result["claims"], result["not_judged"] = judged.verdicts, judged.unjudged
    write_json(folder / "result.json", result)
    return result
