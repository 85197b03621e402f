"""The copy of a run in Weights & Biases, made in a copier's process.

This is the one file that imports wandb, and it imports no torch, so that it starts in a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.run.copier import BINS, Arrays, Row
from training.run.files import read_json
from training.run.provenance import name_of, source_hash, sources
from training.run.tracker import Job

if TYPE_CHECKING:
    import wandb

PROJECT = "regimen"
RESULT = (
    *("status", "exact", "inexact", "best", "claims", "not_judged", "counters"),
    *("wall_time_s", "training_time_s", "energy"),
)
"""What of `result.json` goes to the summary, besides the metrics."""


class WandbCopy:
    """A run in W&B that grows with its rows; online it goes on where it ended.

    A finished run gets the table `evaluations`, its videos, and the artifact of its checkpoint.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._run = _open(job)
        self._rows = 0
        self._axis = "updates"
        self._evaluations: list[dict[str, Any]] = []
        self._histograms: dict[str, Any] = {}
        _use_parent(self._run, job)

    def log(self, index: int, row: Row) -> None:
        if index == 0:
            self._axis = _choose_axis(self._run, row)
        self._rows = index + 1
        if measured := _evaluation(row):
            self._evaluations.append({"when": "training", self._axis: row[self._axis], **measured})
        if index >= self._run.starting_step:  # a run resumed online: W&B takes no row twice
            self._run.log({**row, **self._histograms}, step=index, commit=True)
            self._histograms = {}

    def log_histograms(self, counters: Mapping[str, int], arrays: Arrays) -> None:
        import wandb

        # W&B's steps only go forward: they wait for the next row, beside which they stand.
        self._histograms = {
            name: wandb.Histogram(np_histogram=np.histogram(values, BINS)) for name, values in arrays.items()
        }
        self._histograms |= {f"checkpoint/{name}": count for name, count in counters.items()}

    def finish(self, result: Mapping[str, Any]) -> str:
        run = self._run
        run.summary.update({name: float(value) for name, value in result.get("metrics", {}).items()})
        for name in RESULT:
            if name in result:
                run.summary[name] = result[name]
        completed = result.get("status") == "completed"
        if completed:  # no row comes any more, whose step this could take
            last = {**self._histograms, **self._table(result), **_videos(Path(self._job.folder))}
            if last:
                run.log(last, step=max(self._rows, run.starting_step), commit=True)
            _log_artifacts(run, self._job, result)
        run.finish(exit_code=0 if completed else 1)
        where = run.url or str(run.settings.sync_dir)
        if run.offline:
            _require_whole(where)
        _tidy(Path(self._job.folder, "wandb"), sent=not run.offline)
        return where

    def _table(self, result: Mapping[str, Any]) -> dict[str, wandb.Table]:
        """Every evaluation a line: those of the training, the final one and that of the best checkpoint."""
        import wandb

        lines = list(self._evaluations)
        counters = {"final": result.get("counters", {}), "best checkpoint": result.get("best", {})}
        for when, metrics in (("final", result.get("metrics", {})), ("best checkpoint", result.get("best", {}))):
            if measured := _evaluation(metrics):
                lines.append({"when": when, self._axis: counters[when].get(self._axis), **measured})
        columns = list(dict.fromkeys(name for line in lines for name in line))
        data = [[line.get(name) for name in columns] for line in lines]
        return {"evaluations": wandb.Table([*columns], data)} if lines else {}


def open_copy(job: Job) -> WandbCopy:
    """The copy of the job in W&B."""
    return WandbCopy(job)


def logged_in() -> bool:
    """Whether W&B finds a key: in the environment, in the netrc file or in its own settings."""
    import wandb

    return bool(wandb.api.api_key or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"))


def _open(job: Job) -> wandb.Run:
    import wandb

    os.environ.setdefault("WANDB_DATA_DIR", str(Path(job.folder, "wandb")))  # what waits to be sent is the run's
    settings_of_run = read_json(Path(job.folder, "config.json"))
    has_login = logged_in()
    if job.target.mode == "online" and not has_login:
        raise RuntimeError("not logged in; `wandb login` or WANDB_API_KEY logs in")
    forced_offline = job.target.mode == "auto" and os.environ.get("WANDB_MODE", "online") != "online"
    online = has_login and job.target.mode != "offline" and not forced_offline
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,  # environment.json has what the run was made with, without the names of users and hosts
        disable_code=True,
        x_disable_meta=True,
        x_save_requirements=False,
        x_stats_pid=job.training_process,
        stop_fn=lambda: None,
        sweep_id=settings_of_run.get("wandb_agent", {}).get("sweep_id"),
    )
    # An argument wins over its variable: what is None here, such as tags, W&B takes from the environment.
    asked = settings_of_run.get("wandb", {})
    return wandb.init(
        project=asked.get("project") or os.environ.get("WANDB_PROJECT", PROJECT),
        entity=asked.get("entity"),
        group=asked.get("group") or os.environ.get("WANDB_RUN_GROUP", _group(settings_of_run, job.group)),
        name=_display_name(settings_of_run) or os.environ.get("WANDB_NAME", job.run_id),
        job_type=asked.get("job_type"),
        tags=asked.get("tags"),
        notes=asked.get("notes"),
        id=_run_id(settings_of_run, job),
        resume="allow" if online else None,  # offline every segment begins at the first row, so the newest is whole
        mode="online" if online else "offline",
        dir=job.folder,
        config={**settings_of_run, "parent": job.parent},
        settings=settings,
    )


def _run_id(settings: Mapping[str, Any], job: Job) -> str:
    """The run's own identity; of a run that `wandb agent` began, the id under which the agent looks for it."""
    if "wandb_agent" not in settings:
        return _name(job.run_id)
    return "-".join([settings["wandb_agent"]["run_id"], *([settings["stage"]] if "stage" in settings else [])])


def _display_name(settings: Mapping[str, Any]) -> str | None:
    """The name that was asked for; of a stage with its own behind it."""
    name = settings.get("wandb", {}).get("name")
    return name and "-".join([name, *([settings["stage"]] if "stage" in settings else [])])


def _group(settings: Mapping[str, Any], group: str) -> str:
    """The group with a hash of the config without the seed: the seeds of one configuration are one group."""
    config = {name: value for name, value in settings["config"].items() if name != "seed"}
    return f"{group}-{hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:8]}"


def _evaluation(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name.startswith("evaluation/")}


def _videos(folder: Path) -> dict[str, wandb.Video]:
    """What `evaluate --video` has recorded of the run."""
    import wandb

    return {f"videos/{file.stem}": wandb.Video(str(file), format="mp4") for file in sorted(folder.glob("videos/*.mp4"))}


def _log_artifacts(run: wandb.Run, job: Job, result: Mapping[str, Any]) -> None:
    """The checkpoint, by which W&B draws lineage, and the code.

    Of the checkpoint it is the manifest, which has the hash of every file of it. The weights stay in the run folder
    unless they are asked for: sending them may take longer than a run waits for its copy. With them, the artifact has
    the files of a run folder that `load_policy` reads, those of the best checkpoint too.
    """
    import wandb

    folder, settings = Path(job.folder), read_json(Path(job.folder, "config.json"))
    manifest = folder / str(result.get("checkpoint")) / "manifest.json"
    if manifest.exists():
        artifact = wandb.Artifact(_name(job.run_id), "checkpoint", metadata={"metrics": result.get("metrics", {})})
        if "weights" in job.target.also:
            best = (read_json(manifest)["best"] or {}).get("counters", {}).get("updates")
            names = {manifest.parent.name, *([] if best is None else [f"{best:010d}"])}
            files = [file for name in sorted(names) for file in sorted(manifest.parent.with_name(name).glob("*"))]
            for file in [folder / "config.json", *(file for file in files if not file.name.startswith("stream."))]:
                artifact.add_file(str(file), name=str(file.relative_to(folder)), policy="immutable")
        else:
            artifact.add_file(str(manifest), policy="immutable")  # it is not copied: no one changes a checkpoint
        run.log_artifact(artifact)
    if "code" not in job.target.also:
        return
    if settings["source_hash"] == source_hash(job.group, settings["config"]):
        name = f"source-{_name(job.group)}"
        code = wandb.Artifact(name, "source", metadata={"hash": settings["source_hash"]})
        for file in sources(job.group, settings["config"]):
            code.add_file(str(file), name=name_of(file))
        run.log_artifact(code)
    else:
        run.summary["code"] = "not sent: it is no longer what the run was trained with"


def _require_whole(folder: str) -> None:
    """Raises RuntimeError unless the end of the run is in its offline copy.

    W&B's service goes on where the disk refuses to take a row, and says nothing of it.
    """
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", folder]
    told = subprocess.run(command, env={**os.environ, "WANDB_MODE": "offline"}, capture_output=True)
    if told.returncode or json.loads(told.stdout)["exit_code"] is None:
        raise RuntimeError(f"{folder} ends before the run does: the disk may be full")


def _tidy(folder: Path, *, sent: bool) -> None:
    """Removes what waited to be sent once it was, and what is empty."""
    with contextlib.suppress(OSError):
        if sent:
            shutil.rmtree(folder / "artifacts", ignore_errors=True)
        inner = [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()]
        for path in sorted(inner, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):  # it holds something
                path.rmdir()


def _use_parent(run: wandb.Run, job: Job) -> None:
    """Links the run to the checkpoint that it goes on from: of the stage before it, or of another run."""
    if job.parent is None or run.offline:  # W&B takes such a link online only; `make sync` makes it then
        return
    settings = read_json(Path(job.folder, "config.json"))
    other = read_json(Path(job.parent, "config.json"))
    before = other["id"] if "id" in other else f"{settings['id']}-{job.parent}"
    with contextlib.suppress(Exception):  # it may never have been copied
        run.use_artifact(f"{_name(before)}:latest", type="checkpoint")


def _name(identity: str) -> str:
    """An identity in the letters that W&B takes."""
    return re.sub(r"[^\w.-]", "-", identity)


def _choose_axis(run: wandb.Run, row: Row) -> str:
    """The first counter that moves is what W&B draws everything over; learning from data has no env steps."""
    axis = next((unit for unit in ("env_steps", "samples", "updates") if row[unit]), "updates")
    run.define_metric(axis)
    run.define_metric("*", step_metric=axis)
    return axis
