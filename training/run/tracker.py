"""The copies of a run elsewhere: made beside the training process, without holding it up.

`metrics.jsonl` is the truth and every copy comes from it, so each tracker has a process of its own that reads that
file while the run writes it. Nothing is handed over row by row: there is no queue that could fill up, and no row can be
lost.

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
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from training.errors import UserError, require
from training.extras import install_command
from training.program import program
from training.run.files import read_json
from training.run.provenance import ROOT
from training.run.stages import stage_folders

Mode = Literal["auto", "online", "offline"]
WANDB_MODES: dict[str, Mode] = {"wandb": "auto", "auto": "auto", "online": "online", "offline": "offline"}
NAMES = {"wandb": "W&B", "tensorboard": "TensorBoard"}
ALSO = {"wandb": ("weights", "histograms", "code"), "tensorboard": ("histograms",)}
"""What a tracker takes besides rows, where it is asked for."""
ENDED = b"ended"
TAKES = "auto, online or offline, which are W&B, tensorboard, several with commas between them, or none"


@dataclass(frozen=True)
class Target:
    """One tracker: where its copy goes, which only W&B has a choice of, and what it gets besides the rows."""

    library: str
    mode: Mode = "auto"
    also: tuple[str, ...] = ()

    @property
    def off(self) -> bool:
        """Whether W&B is turned off, as its documentation has it; the explicit online and offline win."""
        return self.library == "wandb" and self.mode == "auto" and os.environ.get("WANDB_MODE") == "disabled"

    def __str__(self) -> str:
        """The target as the option spells it."""
        return "+".join([self.mode if self.library == "wandb" else self.library, *self.also])


@dataclass(frozen=True)
class Job:
    """What the copier is told; `seconds_left` is the time it has once the run has ended, None for no limit."""

    folder: str
    target: Target
    group: str
    run_id: str
    parent: str | None
    training_process: int
    seconds_left: float | None


def read_trackers(asked: str) -> tuple[Target, ...]:
    """The trackers that the option `--tracker` asks for, such as `online+weights,tensorboard`.

    Raises UserError for a name that there is not, one that is there twice, and a package that is not installed.
    """
    if asked == "none":
        return ()
    targets = tuple(_read_target(asked, words.split("+")) for words in asked.split(","))
    libraries = [target.library for target in targets]
    require(len(libraries) == len(set(libraries)), "tracker", asked, "a tracker once")
    if "tensorboard" in libraries and find_spec("tensorboardX") is None:
        raise UserError(
            f"tracker = {asked!r}: a package is missing (tensorboardX); install it: {install_command('tensorboard')}"
        )
    return targets


def _read_target(asked: str, words: Sequence[str]) -> Target:
    name, *also = words
    library = "wandb" if name in WANDB_MODES else name
    require(library in ALSO, "tracker", asked, TAKES)
    takes = f"{name} with " + ", ".join(f"+{word}" for word in ALSO[library])
    require(set(also) <= set(ALSO[library]) and len(also) == len(set(also)), "tracker", asked, takes)
    return Target(library, WANDB_MODES.get(name, "auto"), tuple(also))


def sweep_of_agent() -> dict[str, dict[str, str]]:
    """What `config.json` keeps of the `wandb agent` that runs this process: its sweep, and the run's id in W&B."""
    names = {"sweep_id": "WANDB_SWEEP_ID", "run_id": "WANDB_RUN_ID"}
    found = {key: os.environ[name] for key, name in names.items() if name in os.environ}
    return {"wandb_agent": found} if found.keys() == names.keys() else {}


class Tracker:
    """Copies the run in `folder` to its trackers while it trains.

    W&B's `auto` is online when the user is logged in (`WANDB_API_KEY`, the netrc file or wandb's settings) and offline
    otherwise, or what WANDB_MODE says, which may be that there is no copy (docs/runs.md); it never asks. A tracker
    that fails says so in one line on stderr. Training never waits for it and never fails with it.

    Args:
        folder: the run folder, where the Logger writes `metrics.jsonl` and `timing.jsonl`, beside `config.json`.
        asked: what the option `--tracker` says; with `none` every method does nothing.
        group: of runs that are kept together.
        run_id: the name of the copy and its W&B id; a run resumed online under the same id continues there.
        parent: the run that this one continues or adapts; it becomes `parent` in the W&B config.
        finish_timeout_s: the longest that `finish` waits, and that the copiers of a killed run live on.

    Raises:
        UserError: `asked` is not what the option takes.
    """

    def __init__(
        self,
        folder: Path,
        asked: str,
        *,
        group: str,
        run_id: str,
        parent: str | None = None,
        finish_timeout_s: float = 15.0,
    ) -> None:
        self._finish_timeout_s = finish_timeout_s
        self._copiers = [
            _Copier(Job(str(folder.resolve()), target, group, run_id, parent, os.getpid(), finish_timeout_s))
            for target in read_trackers(asked)
            if not target.off
        ]

    @property
    def copies(self) -> list[tuple[str, str]]:
        """Every copy that is whole once `finish` was called: the tracker's library, and its address or its folder."""
        return [(copier.job.target.library, copier.where) for copier in self._copiers if copier.where is not None]

    def follow(self) -> None:
        """To be called after every row. The first starts the copiers: a resumed run has truncated its files by then."""
        for copier in self._copiers:
            copier.follow()

    def finish(self) -> None:
        """Waits until the copies are whole, or gives up when the time is over. A run without a row has no copy.

        The run's `result.json` is there: its metrics become the summary, its status the state of the W&B run.
        """
        for copier in self._copiers:  # all of them end their work at the same time
            copier.tell_end()
        until = time.monotonic() + self._finish_timeout_s
        for copier in self._copiers:
            copier.wait(until)


class _Copier:
    """One tracker's process, as the training process sees it: nothing here waits but `wait`."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.where: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._off = False

    def follow(self) -> None:
        if self._off:
            return
        try:
            if self._process is None:
                self._process = _start(self.job)
            elif self._process.poll() is not None:
                self._take(_answer(self._process, None))
        except Exception as error:  # whatever it is, training goes on
            self._give_up(one_line(error))

    def tell_end(self) -> None:
        if not self._off and self._process is not None:
            _tell_end(self._process)

    def wait(self, until: float) -> None:
        process, self._process = self._process, None
        if self._off or process is None:
            return
        try:
            self._take(_answer(process, max(1.0, until - time.monotonic())))
        except subprocess.TimeoutExpired:
            self._give_up(f"no end after {self.job.seconds_left:g} s")
        except Exception as error:  # whatever it is, the run is complete without its copy
            self._give_up(one_line(error))
        finally:
            _stop(process)

    def _take(self, reply: Mapping[str, str]) -> None:
        self.where = reply.get("where")
        if "error" in reply:
            self._give_up(reply["error"])

    def _give_up(self, reason: str) -> None:
        self._off = True
        asked = "" if self.job.target == Target("wandb") else f" --tracker {self.job.target}"
        with contextlib.suppress(Exception):  # a closed stderr is no reason to stop either
            sys.stderr.write(
                f"{NAMES[self.job.target.library]}: {reason}. The run is complete without it, its copy is not; "
                f"`{program()} sync {self.job.folder}{asked}` copies all of it.\n"
            )


def sync(folder: Path, asked: str = "auto") -> str:
    """Makes whole copies from the files of a run, however many segments it was trained in; one for each stage.

    A folder of runs, such as that of `verify`, is all of them. In W&B online, a run continues under its id: rows that
    W&B has are skipped. Blocks until everything is sent.

    Returns:
        The address of every copy, or its folder; a line for each.

    Raises:
        UserError: the folder is not a run with rows, W&B is turned off, or a tracker failed; one line.
    """
    targets = read_trackers(asked)
    require(bool(targets), "tracker", asked, TAKES.removesuffix(", or none"))
    if any(target.off for target in targets):
        raise UserError("WANDB_MODE = 'disabled': a copy takes 'online' or 'offline' there")
    runs = (
        [folder] if (folder / "config.json").exists() else sorted(file.parent for file in folder.glob("*/config.json"))
    )
    parts = [part for run in runs for part in (stage_folders(run) or [run])]
    if not parts or not all((part / "metrics.jsonl").exists() for part in parts):
        raise UserError(f"{folder} cannot be copied: there is no metrics.jsonl in it")
    return "\n".join(_sync_one(part.resolve(), target) for target in targets for part in parts)


def _sync_one(folder: Path, target: Target) -> str:
    settings = read_json(folder / "config.json")
    job = Job(
        folder=str(folder),
        target=target,
        group=settings.get("group", settings["experiment"]),
        run_id="-".join(settings[key] for key in ("id", "stage") if key in settings),
        parent=settings["parent"],
        training_process=os.getpid(),
        seconds_left=None,
    )
    copier = _start(job)
    try:
        _tell_end(copier)
        reply = _answer(copier, None)
    finally:
        _stop(copier)
    if "error" in reply:
        raise UserError(f"{NAMES[target.library]}: {reply['error']}")
    return reply["where"]


def _start(job: Job) -> subprocess.Popen[bytes]:
    # In a session of its own: Ctrl-C in the terminal is for the training process alone.
    return subprocess.Popen(
        [sys.executable, "-m", "training.run.copier", json.dumps(asdict(job))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _tell_end(process: subprocess.Popen[bytes]) -> None:
    """Tells the copier that the run has ended, which the death of the training process does not."""
    assert process.stdin is not None
    with contextlib.suppress(OSError), process.stdin as pipe:  # a copier that is dead has said why
        pipe.write(ENDED)
    process.stdin = None


def _answer(process: subprocess.Popen[bytes], timeout_s: float | None) -> dict[str, str]:
    """What the copier said last: `where` the copy is, or the `error` it died of."""
    answer = process.communicate(timeout=timeout_s)[0]
    reply: dict[str, str] = json.loads(answer) if answer else {"error": "its process was killed"}
    return reply


def _stop(process: subprocess.Popen[bytes]) -> None:
    # wandb's own service watches the copier and ends with it.
    if process.poll() is None:
        process.kill()
        process.communicate()


def one_line(error: BaseException) -> str:
    """An error for a person to read."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
