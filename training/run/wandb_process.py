"""The process that copies one run to W&B: `python -m training.run.wandb_process JOB`, started by the tracker.

It reads the files of the run while they are written, and nothing but the job and the result is handed to it. It answers
with one line of JSON: `{"where": ...}` or `{"error": ...}`. This is the one file that imports wandb, and it imports no
torch, so that it starts in a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from training.run.files import read_json
from training.run.tracker import Job, one_line

if TYPE_CHECKING:
    import wandb

PROJECT = "regimen"
POLL_INTERVAL_S = 0.5


def _main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a scheduler signals the whole job; the training process decides when
    answer = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # wandb's service prints there, and would hold the pipe open
    job = Job(**json.loads(sys.argv[1]))
    try:
        reply = {"where": _copy(job, _End(job.seconds_left))}
    except Exception as error:
        reply = {"error": one_line(error)}
    with answer:
        json.dump(reply, answer)


class _End:
    """The end of the run as the copier sees it: the result arrives, or the death of the run closes the pipe."""

    def __init__(self, seconds_left: float | None) -> None:
        self.result: dict[str, Any] = {}
        self.came = threading.Event()
        threading.Thread(target=self._await, args=(seconds_left,), daemon=True).start()

    def _await(self, seconds_left: float | None) -> None:
        message = sys.stdin.buffer.read()
        self.result = json.loads(message) if message else {}
        self.came.set()
        if seconds_left is not None:
            time.sleep(seconds_left)
            os._exit(1)  # wandb hangs, and after a killed run nobody else would end this process


def _copy(job: Job, end: _End) -> str:
    """Copies rows until the run has ended; returns where the copy is."""
    run = _open(job)
    _use_parent(run, job)
    rows = _Rows(Path(job.folder))
    ended = False
    while not ended:
        ended = end.came.wait(POLL_INTERVAL_S)
        for index, row in rows.new():
            if index == 0:
                _choose_axis(run, row)
            if index >= run.starting_step:  # a run resumed online: W&B takes no row twice
                run.log(row, step=index, commit=True)
    numbers = {name: float(value) for name, value in end.result.get("metrics", {}).items()}
    run.summary.update(numbers)
    for name in (
        *("status", "exact", "inexact", "best", "claims", "not_judged", "counters"),
        *("wall_time_s", "training_time_s"),
    ):
        if name in end.result:
            run.summary[name] = end.result[name]
    if end.result.get("status") == "completed":
        _log_checkpoint(run, job, end.result)
    run.finish(exit_code=0 if end.result.get("status") == "completed" else 1)
    return run.url or str(run.settings.sync_dir)


def _open(job: Job) -> wandb.Run:
    import wandb

    os.environ.setdefault("WANDB_DATA_DIR", str(Path(job.folder, "wandb")))  # what waits to be sent is the run's
    logged_in = bool(wandb.api.api_key or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"))
    if job.mode == "online" and not logged_in:
        raise RuntimeError("not logged in; `wandb login` or WANDB_API_KEY logs in")
    forced_offline = job.mode == "auto" and os.environ.get("WANDB_MODE", "online") != "online"
    online = logged_in and job.mode != "offline" and not forced_offline
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,  # environment.json has what the run was made with, without the names of users and hosts
        disable_code=True,
        x_disable_meta=True,
        x_save_requirements=False,
        x_stats_pid=job.training_process,
        stop_fn=lambda: None,
    )
    # An argument wins over its variable: what is not given here, such as tags, W&B takes from the environment.
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        group=os.environ.get("WANDB_RUN_GROUP", job.group),
        name=os.environ.get("WANDB_NAME", job.run_id),
        id=_name(job.run_id),
        resume="allow" if online else None,  # offline every segment begins at the first row, so the newest is whole
        mode="online" if online else "offline",
        dir=job.folder,
        config={**read_json(Path(job.folder) / "config.json"), "parent": job.parent},
        settings=settings,
    )


def _log_checkpoint(run: wandb.Run, job: Job, result: Mapping[str, Any]) -> None:
    """The artifact by which W&B draws lineage: the checkpoint's manifest, which has the hash of every file of it.

    The weights stay in the run folder: sending them would take longer than a run waits for its copy.
    """
    import wandb

    manifest = Path(job.folder, str(result.get("checkpoint")), "manifest.json")
    if manifest.exists():
        artifact = wandb.Artifact(_name(job.run_id), "checkpoint", metadata={"metrics": result.get("metrics", {})})
        artifact.add_file(str(manifest))
        run.log_artifact(artifact)


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


def _choose_axis(run: wandb.Run, row: Mapping[str, float]) -> None:
    """The first counter that moves is what W&B draws everything over; learning from data has no env steps."""
    axis = next((unit for unit in ("env_steps", "samples", "updates") if row[unit]), "updates")
    run.define_metric(axis)
    run.define_metric("*", step_metric=axis)


class _Rows:
    """The rows of a run folder, read while they are written: metrics, and `timing/...` for the wall-clock values."""

    def __init__(self, folder: Path) -> None:
        self._metrics = (folder / "metrics.jsonl").open("rb")
        self._timing = (folder / "timing.jsonl").open("rb")
        self._count = 0

    def new(self) -> Iterator[tuple[int, dict[str, float]]]:
        """The whole rows that have been added, each with its index from the start of the run."""
        while (row := _next_row(self._metrics)) is not None:
            timing = _next_row(self._timing) or {}  # written before its row of metrics
            yield self._count, row | {f"timing/{name}": value for name, value in timing.items() if name not in row}
            self._count += 1


def _next_row(file: IO[bytes]) -> dict[str, float] | None:
    start = file.tell()
    line = file.readline()
    if not line.endswith(b"\n"):  # still being written
        file.seek(start)
        return None
    return {name: float(value) if isinstance(value, str) else value for name, value in json.loads(line).items()}


if __name__ == "__main__":
    _main()
