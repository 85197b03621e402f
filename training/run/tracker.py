"""The copy of a run in Weights & Biases: made beside the training process, without holding it up.

`metrics.jsonl` is the truth and W&B a copy of it, so the copier is a process of its own that reads that file while the
run writes it. Nothing is handed over row by row: there is no queue that could fill up, and no row can be lost.

Why a process and not a thread: in the process that calls it, wandb replaces `sys.exit` and `sys.excepthook`, registers
exit hooks that wait for its service as long as the server hangs, exports the service's address to every subprocess,
raises SIGINT in the main thread when the server asks for a stop, and takes a second of the interpreter's time to start.
A process of its own keeps all of that out of training, and one kill bounds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from training.errors import UserError
from training.run.files import read_json
from training.run.provenance import ROOT
from training.run.stages import stage_folders

Mode = Literal["auto", "online", "offline", "none"]


@dataclass(frozen=True)
class Job:
    """What the copier is told; `seconds_left` is the time it has once the run has ended, None for no limit."""

    folder: str
    mode: Mode
    group: str
    run_id: str
    parent: str | None
    training_process: int
    seconds_left: float | None


class Tracker:
    """Copies the run in `folder` to W&B while it trains.

    `auto` is online when the user is logged in (`WANDB_API_KEY`, the netrc file or wandb's settings) and offline
    otherwise, or what WANDB_MODE says, which may be that there is no copy (docs/runs.md); it never asks. A tracker that
    fails says so in one line on stderr. Training never waits for it and never fails with it.

    Args:
        folder: the run folder, where the Logger writes `metrics.jsonl` and `timing.jsonl`, beside `config.json`.
        mode: where the copy goes; `none` makes every method do nothing.
        group: the W&B group.
        run_id: the W&B id and name; a run resumed online under the same id continues there.
        parent: the run that this one continues or adapts; it becomes `parent` in the W&B config.
        finish_timeout_s: the longest that `finish` waits, and that the copier of a killed run lives on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mode: Mode,
        group: str,
        run_id: str,
        parent: str | None = None,
        finish_timeout_s: float = 15.0,
    ) -> None:
        self.where: str | None = None
        """The address of the run, or the folder of the offline copy, once `finish` has succeeded."""
        self._job = Job(str(folder.resolve()), mode, group, run_id, parent, os.getpid(), finish_timeout_s)
        self._copier: subprocess.Popen[bytes] | None = None
        self._off = mode == "none" or (mode == "auto" and _disabled())

    def follow(self) -> None:
        """To be called after every row. The first starts the copier: a resumed run has truncated its files by then."""
        if self._off:
            return
        try:
            if self._copier is None:
                self._copier = _start(self._job)
            elif self._copier.poll() is not None:
                self._take(self._copier.communicate()[0])
        except Exception as error:  # whatever it is, training goes on
            self._give_up(one_line(error))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Waits until the copy is whole, or gives it up when the time is over. A run without a row has no copy.

        Args:
            result: the contents of `result.json`: its metrics become the summary, its status the state of the W&B run.
        """
        copier, self._copier = self._copier, None
        if self._off or copier is None:
            return
        try:
            message = json.dumps(result).encode()
            self._take(copier.communicate(message, timeout=self._job.seconds_left)[0])
        except subprocess.TimeoutExpired:
            self._give_up(f"no end after {self._job.seconds_left:g} s")
        except Exception as error:  # whatever it is, the run is complete without its copy
            self._give_up(one_line(error))
        finally:
            _stop(copier)

    def _take(self, answer: bytes) -> None:
        reply = _reply(answer)
        self.where = reply.get("where")
        if "error" in reply:
            self._give_up(reply["error"])

    def _give_up(self, reason: str) -> None:
        self._off = True
        with contextlib.suppress(Exception):  # a closed stderr is no reason to stop either
            sys.stderr.write(
                f"W&B: {reason}. The run is complete without it; "
                f"`python -m experiments sync {self._job.folder}` copies all of it.\n"
            )


def sync(folder: Path, mode: Literal["auto", "online", "offline"] = "auto") -> str:
    """Makes one whole W&B run from the files of a run, however many segments it was trained in; one for each stage.

    Online, the run continues under its id: rows that W&B has are skipped. Blocks until everything is sent.

    Returns:
        The address of the run, or the folder of the offline copy; a line for each stage.

    Raises:
        UserError: the folder is not a run with rows, W&B is turned off, or it failed; one line.
    """
    if mode == "auto" and _disabled():
        raise UserError("WANDB_MODE = 'disabled': a copy takes 'online' or 'offline' there")
    stages = [folder] if (folder / "metrics.jsonl").exists() else stage_folders(folder)
    if not stages or not all((stage / "metrics.jsonl").exists() for stage in stages):
        raise UserError(f"{folder} cannot be copied to W&B: there is no metrics.jsonl in it")
    copies = [_sync_one(stage.resolve(), mode) for stage in stages]
    for reply in copies:
        if "error" in reply:
            raise UserError(f"W&B: {reply['error']}")
    return "\n".join(reply["where"] for reply in copies)


def _disabled() -> bool:
    """Whether W&B is turned off, as its documentation has it."""
    return os.environ.get("WANDB_MODE") == "disabled"


def _sync_one(folder: Path, mode: Mode) -> dict[str, str]:
    settings = read_json(folder / "config.json")
    job = Job(
        folder=str(folder),
        mode=mode,
        group=settings.get("group", settings["experiment"]),
        run_id="-".join(settings[key] for key in ("id", "stage") if key in settings),
        parent=settings["parent"],
        training_process=os.getpid(),
        seconds_left=None,
    )
    result = read_json(folder / "result.json")
    copier = _start(job)
    try:
        return _reply(copier.communicate(json.dumps(result).encode())[0])
    finally:
        _stop(copier)


def _start(job: Job) -> subprocess.Popen[bytes]:
    # In a session of its own: Ctrl-C in the terminal is for the training process alone.
    return subprocess.Popen(
        [sys.executable, "-m", "training.run.wandb_process", json.dumps(asdict(job))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _stop(copier: subprocess.Popen[bytes]) -> None:
    # wandb's own service watches the copier and ends with it.
    if copier.poll() is None:
        copier.kill()
        copier.communicate()


def _reply(answer: bytes) -> dict[str, str]:
    """What the copier said last: `where` the copy is, or the `error` it died of."""
    reply: dict[str, str] = json.loads(answer) if answer else {"error": "its process was killed"}
    return reply


def one_line(error: BaseException) -> str:
    """An error for a person to read."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
