"""Runs of this project as records: a folder with a `config.json`, a log and a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reports.comparison.records import Curve, LeftOut, Record
from training.claims import claim_of
from training.errors import UserError
from training.run.folder import read_environment, read_settings
from training.run.logger import COUNTERS, read_rows
from training.run.provenance import hardware
from training.run.result import read_result, unit_of
from training.run.stages import stage_folders


def is_run(folder: Path) -> bool:
    """Whether the folder is a run, and no stage of one."""
    try:
        return "stage" not in read_settings(folder)
    except UserError:
        return False


def find_runs(folder: Path) -> list[Path]:
    """Every run in a folder and below it, in the order of their names."""
    return sorted(file.parent for file in folder.rglob("config.json") if is_run(file.parent))


def find_named(experiment: str, root: Path = Path("runs")) -> list[Path]:
    """The runs of an experiment in `runs/`: those of `train`, and the seeds of `verify`; none of a sweep's trials.

    Those of an algorithm are in a folder for each environment, `runs/ppo-Pendulum-v1/`.
    """
    groups = [root / experiment, *root.glob(f"{experiment}-*")]
    folders = [folder for own in groups for pattern in ("*", "verify/*") for folder in own.glob(pattern)]
    return sorted(one for one in folders if is_run(one) and read_settings(one)["experiment"] == experiment)


def read_record(folder: Path, label: str | None = None) -> Record | LeftOut:
    """A run as a record, or why it is left out: only one that came to its end and can be read is compared."""
    try:
        return _read(folder, label)
    except (OSError, ValueError, KeyError) as error:
        return LeftOut(str(folder), f"it is damaged: {type(error).__name__}: {error}")


def _read(folder: Path, label: str | None) -> Record | LeftOut:
    settings, result = read_settings(folder), read_result(folder)
    status = result.get("status", "unfinished")
    if status != "completed":
        return LeftOut(str(folder), f"it is {status}")
    environment = read_environment(folder)
    config = dict(flattened(settings["config"]))
    budget = config.get("env_steps")
    claims = [claim_of(verdict) for verdict in result["claims"]]
    return Record(
        source=str(folder),
        label=label or settings["experiment"],
        config={"experiment": settings["experiment"], **config},
        curves={} if stage_folders(folder) else read_curves(folder, result),
        seed=int(settings["seed"]),
        budget=budget if isinstance(budget, int) else None,
        final=result["metrics"],
        best=result["best"],
        targets={claim.metric: claim.target for claim in claims if claim.target is not None},
        source_hash=settings["source_hash"],
        hardware=hardware(environment),
        unit=unit_of(result["counters"]).replace("_", " "),
        remarks=tuple(_remarks(folder, settings, result)),
    )


def flattened(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested dicts by dotted key."""
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _remarks(folder: Path, settings: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    for why in result["inexact"]:
        yield f"not exact: {why}"
    if settings["parent"] is not None:
        yield f"goes on from {settings['parent']}: its counters began there"
    if stage_folders(folder):
        yield "has stages, and so no curve"


def read_curves(folder: Path, result: Mapping[str, Any]) -> dict[str, Curve]:
    """Every metric of the log of a run or a stage; what was measured at its end is the last point of its own.

    `result` is what its `result.json` says; of one that goes on it may be empty.
    """
    if not (folder / "metrics.jsonl").exists():
        return {}
    rows = read_rows(folder / "metrics.jsonl")
    if not rows:
        return {}
    seconds = {row["updates"]: row["wall_time_s"] for row in read_rows(folder / "timing.jsonl")}
    names = {name for row in rows for name in row} - set(COUNTERS)
    counters = result.get("counters") or rows[-1]
    unit, measured = unit_of(counters), result.get("metrics", {})
    curves = {}
    for name in sorted(names):
        points = [(row[unit], seconds.get(row["updates"], np.nan), row[name]) for row in rows if name in row]
        end = counters[unit]
        if name in measured and points[-1][0] < end:
            points.append((end, float(result["wall_time_s"]), float(measured[name])))
        finite = np.array([point for point in points if np.isfinite(point[2])], np.float64)
        if len(finite):
            curves[name] = Curve(*finite.T)
    return curves
