"""The runs that the dashboard shows: which folders it reads, and what its list says of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import UserError
from training.run.files import read_json
from training.run.folder import read_settings
from training.run.progress import read_progress
from training.run.runs import RunState, all_runs

READ = ("config.json", "result.json", "metrics.jsonl", "timing.jsonl", "progress.json", "checkpoints")
SORTED_BY = ("began", "experiment", "env", "seed", "status", "score", "progress", "time", "findings")


@dataclass(frozen=True)
class Listed:
    """What the list says of one run."""

    name: str
    """Its place in the folder of runs, such as `ppo_cartpole/20260101T000000Z-seed1-ab12`."""
    state: RunState
    env: str
    left_s: float | None
    """Its ETA, while it goes on."""
    findings: tuple[str, ...]
    """What was wrong at its end."""

    @property
    def fraction(self) -> float | None:
        return min(1.0, self.state.done / self.state.budget) if self.state.budget else None


@dataclass(frozen=True)
class Asked:
    """Which runs the list shows, and in which order."""

    text: str = ""
    """A part of the run's name, experiment or environment."""
    status: str = ""
    sort: str = "began"
    rising: bool = False


def folder_of(name: str, runs: Path) -> Path | None:
    """The folder of a run in the folder of all, or None: what lies outside is no run, whatever leads there."""
    parts = name.split("/")
    if len(parts) > 2 or any(part in ("", ".", "..") or "\0" in part for part in parts):
        return None
    folder = runs.joinpath(*parts)
    try:
        if folder.resolve() != runs.resolve().joinpath(*parts) or not (folder / "config.json").is_file():
            return None
        files = [
            *(folder / one for one in READ),
            *(one for stage in folder.glob("[0-9][0-9]-*") for one in (stage, *map(stage.joinpath, READ))),
        ]
        return None if any(file.is_symlink() for file in files) else folder
    except OSError:
        return None


def listed(runs: Path, asked: Asked) -> list[Listed]:
    """The runs that are asked for."""
    found = [one for state in all_runs(runs) if (one := _listed(state, runs)) is not None]
    text = asked.text.lower()
    chosen = [
        one
        for one in found
        if (not asked.status or one.state.status == asked.status)
        and any(text in word.lower() for word in (one.name, one.state.experiment, one.env))
    ]
    known = [one for one in chosen if _key(one, asked.sort) is not None]
    known.sort(key=lambda one: _key(one, asked.sort), reverse=not asked.rising)
    return [*known, *(one for one in chosen if one not in known)]


def _listed(state: RunState, runs: Path) -> Listed | None:
    name = state.folder.relative_to(runs).as_posix()
    if folder_of(name, runs) is None:
        return None
    try:
        settings, result = read_settings(state.folder), read_json(state.folder / "result.json")
    except (UserError, OSError, ValueError):  # it vanished between two looks
        return None
    progress = read_progress(state.folder) if state.status == "running" else None
    return Listed(
        name=name,
        state=state,
        env=env_of(settings["config"]),
        left_s=progress.left_s if progress else None,
        findings=tuple(str(finding["name"]) for finding in _findings(result)),
    )


def env_of(config: Mapping[str, Any]) -> str:
    """The environment's id; "" where a run learns from data."""
    env = config.get("env")
    return str(env["id"]) if isinstance(env, Mapping) and "id" in env else ""


def _findings(result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = result.get("findings", ())
    return [one for one in found if isinstance(one, Mapping) and "name" in one] if isinstance(found, list) else []


def _key(one: Listed, sort: str) -> Any:
    state = one.state
    return {
        "began": state.began,
        "experiment": state.experiment,
        "env": one.env,
        "seed": state.seed,
        "status": state.status,
        "score": state.score,
        "progress": one.fraction,
        "time": state.wall_time_s,
        "findings": len(one.findings),
    }[sort]
