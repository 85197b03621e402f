"""Seeds that are trained side by side, each by a `train` of its own; what was finished or stopped before counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import interruption
from training.cluster import child_process
from training.errors import UserError
from training.options import config_hash, config_to_tree
from training.run.folder import making, read_settings
from training.run.provenance import source_hash
from training.run.result import read_result
from training.run.side_by_side import SideBySide

END_TIMEOUT_S = 60.0
LAST_LINES = 15


@dataclass(frozen=True)
class Task:
    """One seed of one experiment: what `train` is asked for."""

    experiment: str
    config: Any
    options: tuple[str, ...]
    folder: Path

    @property
    def seed(self) -> int:
        return int(self.config.seed)

    def __str__(self) -> str:
        return f"{self.experiment} seed {self.seed}"

    @property
    def log(self) -> Path:
        return self.folder.with_name(self.folder.name + ".log")


def train_all(
    tasks: Sequence[Task], package: str, jobs: int, *, title: str = "verify", later: Sequence[str] = ()
) -> dict[Path, str]:
    """Trains what is not finished, `jobs` at a time; says what fails and returns why, by the folder of the run.

    The ETA covers the experiments that are to be trained `later`, one for each run.

    Raises:
        UserError: a seed complains about its input, or was killed from outside.
    """
    waiting = [(task, *found) for task in tasks if (found := _next_command(task, package))]
    failed: dict[Path, str] = {}
    kinds = {str(task.folder): task.experiment for task, *_ in waiting}
    with SideBySide(title, jobs, kinds, later) as all_of_them, _children() as running:
        while waiting or running:
            interruption.check()
            while waiting and len(running) < jobs:
                task, verb, command = waiting.pop(0)
                print(f"{task}: {verb}, see {task.log}", file=sys.stderr)
                running[_start(task, command)] = task
                all_of_them.begins(str(task.folder), task.folder, anew=verb == "trains")
            for process in [process for process in running if process.poll() is not None]:
                task = running.pop(process)
                all_of_them.ended(str(task.folder))
                if why := _ended(task, process.returncode, all_of_them.eta if waiting or running else ""):
                    failed[task.folder] = why
            all_of_them.look()
            time.sleep(0.1)
    return failed


def _next_command(task: Task, package: str) -> tuple[str, list[str]] | None:
    """What finishes the seed's run, as a verb and a command; None when it is. A run of something else is set aside."""
    program = child_process.command(package)
    train = [*program, "train", task.experiment, "--seed", str(task.seed), "--tracker", "none"]
    train += ["--run-dir", str(task.folder), *task.options]
    if not task.folder.exists():
        return "trains", train
    try:
        settings = read_settings(task.folder)
        same = (settings["config_hash"], settings["source_hash"]) == (
            config_hash(task.config),
            source_hash(task.experiment, config_to_tree(task.config)),
        )
    except (UserError, KeyError):
        same = False
    if not same:
        aside = _free_name(task.folder)
        task.folder.rename(aside)
        print(f"{task}: {task.folder} is of another config or source, set aside as {aside}", file=sys.stderr)
        return "trains", train
    if read_result(task.folder).get("status") == "completed":
        print(f"{task}: finished before", file=sys.stderr)
        return None
    return "resumes", [*program, "resume", str(task.folder)]


def _free_name(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return aside


def _start(task: Task, command: Sequence[str]) -> subprocess.Popen[bytes]:
    with making(task.folder):
        task.folder.parent.mkdir(parents=True, exist_ok=True)
        log = task.log.open("wb")
    with log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )


def _ended(task: Task, code: int, eta: str) -> str | None:
    """Says how the training of a seed ended, and the ETA of the others; why it failed, or None."""
    lines = task.log.read_text(encoding="utf-8", errors="replace").splitlines()
    if code == 0:
        print(f"{task}: done{eta and f', {eta} for the others'}", file=sys.stderr)
        return None
    if code == 2 and lines:
        raise UserError(f"{task}: {lines[-1].removeprefix('error: ')}")
    if code < 0:
        name = signal.Signals(-code).name
        raise UserError(f"{task}: {name} ended it from outside; the same command goes on with what is saved")
    print(f"{task}: failed with exit code {code}; the end of {task.log}:", file=sys.stderr)
    print("\n".join(f"    {line}" for line in lines[-LAST_LINES:]), file=sys.stderr)
    return next((line for line in reversed(lines) if line.strip()), f"exit code {code}")


@contextmanager
def _children() -> Iterator[dict[subprocess.Popen[bytes], Task]]:
    """Processes that do not outlive the block: they are asked to save and end, and killed when they do not."""
    running: dict[subprocess.Popen[bytes], Task] = {}
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
