"""The runs in runs/: which one a word means, and how each stands. Nothing heavy is imported."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from training.errors import UserError
from training.run.files import read_json
from training.run.folder import is_held
from training.run.stages import stage_folders

RUNS = Path("runs")
LATEST = "latest"
SCORE = "evaluation/return_mean"
"""What stands for a policy; of other runs it is what their first claim is about."""
_BUDGETS = (("env_steps", "env_steps"), ("steps", "updates"), ("epochs", "epochs"))
"""The fields of a config that may hold its budget, and the counter that each is of."""
TAIL_BYTES = 2**18
"""Of a log, from which the newest values are read; a row has about a thousand."""
NAMED = 5
"""The most runs that a complaint names."""

RunStatus = Literal["running", "interrupted", "completed", "failed"]


@dataclass(frozen=True)
class RunState:
    """How a run stands. None: it is not known yet, or the run has no such thing."""

    folder: Path
    experiment: str
    seed: int
    status: RunStatus
    """interrupted: stopped or killed, or never begun; `resume` goes on with it, as with one that failed."""
    unit: str
    done: int
    budget: int | None
    score_name: str | None
    score: float | None
    wall_time_s: float | None
    began: datetime


def find_run(word: str, runs: Path = RUNS) -> Path:
    """The folder of the run that a word means: a path, `latest`, an experiment (its newest run), or the beginning of a
    run's name that no other run has.

    A path that is no run is given back as it is, for whoever reads it to say so.

    Raises:
        UserError: the word means no run, or several.
    """
    given = Path(word)
    if (given / "config.json").exists() or "/" in word:
        return given
    found = _newest_first(runs)
    for folder, settings in found.items():
        if word in (LATEST, settings["experiment"]):
            return folder
    begun = [folder for folder in found if folder.name.startswith(word)]
    meant = [folder for folder in begun if folder.name == word] or begun
    if len(meant) > 1:
        raise UserError(f"{word} may be {len(meant)} runs: {_listed(map(str, meant))}")
    if not meant and not given.exists():
        raise UserError(f"{word} is not a run: {_there_is(found, runs)}")
    return meant[0] if meant else given


def all_runs(runs: Path = RUNS) -> list[RunState]:
    """How every run in the folder stands, newest first. Those of `verify` and `sweep` lie deeper and are not among
    them.
    """
    return [describe(folder, settings) for folder, settings in _newest_first(runs).items()]


def find_same(config_hash: str, source_hash: str, runs: Path = RUNS) -> Path | None:
    """The newest run of this config and this source, if there is one."""
    asked = {"config_hash": config_hash, "source_hash": source_hash}
    return next((folder for folder, own in _newest_first(runs).items() if asked.items() <= own.items()), None)


def run_names(runs: Path = RUNS) -> list[str]:
    """The words that name a run: experiments that have one, and the runs' own names, newest first."""
    found = _newest_first(runs)
    return [*dict.fromkeys(own["experiment"] for own in found.values()), *dict.fromkeys(path.name for path in found)]


def describe(folder: Path, settings: Mapping[str, Any]) -> RunState:
    """How a run stands, of which `config.json` holds the settings."""
    result, config = read_json(folder / "result.json"), settings["config"]
    held = is_held(folder)
    status: RunStatus = "running" if held else result.get("status", "interrupted")
    rows = {} if result and not held else _latest_values(folder)
    budget, unit = budget_of(config)
    done = (result["counters"] if not rows and result else rows).get(unit, 0)
    metrics = rows or result.get("metrics", {})
    score_name = next((name for name in (SCORE, *_claimed(result)) if name in metrics), None)
    seconds = rows.get("wall_time_s") or result.get("wall_time_s")
    return RunState(
        folder=folder,
        experiment=settings["experiment"],
        seed=settings["seed"],
        status=status,
        unit=unit,
        done=int(done),
        budget=budget,
        score_name=score_name,
        score=None if score_name is None else float(metrics[score_name]),
        wall_time_s=None if seconds is None else float(seconds),
        began=_began(folder, settings),
    )


def budget_of(config: Mapping[str, Any]) -> tuple[int | None, str]:
    """How much a config has its run do, where it says that, and the counter in which its work is counted."""
    return next(((config[name], unit) for name, unit in _BUDGETS if config.get(name)), (None, "updates"))


def read_rows_at_end(file: Path) -> list[dict[str, Any]]:
    """The newest whole rows of a log, oldest first; none where there is no file."""
    try:
        with file.open("rb") as rows:
            size = rows.seek(0, 2)
            rows.seek(max(0, size - TAIL_BYTES))
            lines = rows.read().split(b"\n")
    except OSError:
        return []
    whole = lines[1 if size > TAIL_BYTES else 0 : -1]  # the first may be cut off, the last is still being written
    return [json.loads(line) for line in whole]


def _latest_values(folder: Path) -> dict[str, Any]:
    """The newest value of everything that the run, or its last stage, has logged."""
    latest: dict[str, Any] = {}
    where = next((stage for stage in reversed(stage_folders(folder)) if (stage / "metrics.jsonl").exists()), folder)
    for name in ("timing.jsonl", "metrics.jsonl"):
        for row in read_rows_at_end(where / name):
            latest |= row
    return latest


def _claimed(result: Mapping[str, Any]) -> Iterable[str]:
    """The metrics of the claims of a finished run, judged or not."""
    yield from (claim["claim"]["metric"] for claim in result.get("claims", ()))
    for claim in result.get("not_judged", ()):  # such as `best test/auc >= 0.99`
        yield from claim.split()[:2]


def _newest_first(runs: Path) -> dict[Path, dict[str, Any]]:
    """The folders of all runs, each with its settings; runs/<experiment>/<id>, and what --run-dir put beside them."""
    found = {}
    for file in [*runs.glob("*/config.json"), *runs.glob("*/*/config.json")]:
        settings = _settings(file)
        if settings is not None:
            found[file.parent] = settings
    return dict(sorted(found.items(), key=lambda item: (_began(*item), _written_s(item[0])), reverse=True))


def _settings(file: Path) -> dict[str, Any] | None:
    """What makes a folder a run; None for that of a stage and for a file that is something else."""
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    keys = {"experiment", "id", "seed", "config"}
    is_run = isinstance(settings, dict) and keys <= settings.keys() and "stage" not in settings
    return settings if is_run else None


def _began(folder: Path, settings: Mapping[str, Any]) -> datetime:
    """As its identity says, which a copy keeps."""
    try:
        return datetime.strptime(settings["id"].partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(_written_s(folder), UTC)


def _written_s(folder: Path) -> float:
    """When the first file of a run was written, which is never written again."""
    file = folder / "environment.json"
    return file.stat().st_mtime if file.exists() else 0.0


def _there_is(found: Mapping[Path, Mapping[str, Any]], runs: Path) -> str:
    if not found:
        return f"there is none in {runs}/ yet"
    counts = Counter(settings["experiment"] for settings in found.values())
    experiments = _listed(f"{name} ({count})" for name, count in counts.items())
    return f"{runs}/ has runs of {experiments}; the newest is {next(iter(found))}"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join([*names[:NAMED], *(["..."] if len(names) > NAMED else [])])
