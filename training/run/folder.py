"""The folder of a run: its lock, the files that make it a run, where its checkpoints are.

Checkpoints, and torch with them, are imported late: what only looks at the folders of runs answers at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from training.errors import UserError
from training.program import program
from training.run import progress
from training.run.stages import stage_folders

LOCK = "lock"
SETTINGS = (LOCK, "config.json", "environment.json", progress.FILE)
LEFT_BY_A_KILL = {LOCK, "environment.json", "environment.json.unfinished", "config.json.unfinished"}
ROWS = ("metrics.jsonl", "timing.jsonl")


class Lock:
    """Holds a run folder for this process until it is released or the process is gone, however it ends.

    Raises UserError, with the number of the process that holds the folder, when another one does, and when the folder
    cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._file = self._open()
        while not self._is_there():  # it was released, and so removed, between our opening and our locking it
            self._file.close()
            self._file = self._open()
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()
        # A forked worker would inherit the lock and hold it after a kill -9 of this process.
        os.register_at_fork(after_in_child=self._file.close)

    def release(self) -> None:
        """Releases the folder and leaves nothing in it; a second call does nothing."""
        if not self._file.closed and self._is_there():
            self._path.unlink()  # while it is held: who comes now makes another one
        self._file.close()

    def _open(self) -> IO[str]:
        try:
            file = self._path.open("a+", encoding="ascii")
        except OSError as error:
            raise UserError(f"run folder {self._path.parent} cannot be written ({error.strerror})") from None
        if not _locked(file):
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            where = f"run folder {self._path.parent} is locked by process {holder}"
            raise UserError(f"{where}: wait for it or stop it")
        return file

    def _is_there(self) -> bool:
        """Whether the file that is locked is still the one that others find."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


def _locked(file: IO[str]) -> bool:
    """Locks the file; whoever only looks (`is_held`) holds it for a moment, and is waited for."""
    for wait_s in (0.01, 0.05, 0.0):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(wait_s)
    return False


def is_held(folder: Path) -> bool:
    """Whether a process holds the run folder now; it is not kept from anybody by being asked."""
    try:
        with (folder / LOCK).open("r", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock, or no right to see it
        return False
    return False


def new_identity(seed: int) -> str:
    """Of a run that begins now: also the name of its folder."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-seed{seed}-{secrets.token_hex(2)}"


def new_folder(group: str, seed: int) -> Path:
    """Where a new run is written by default, for who must know it before the run is made."""
    return Path("runs", group, new_identity(seed))


def make_folder(folder: Path) -> tuple[Lock, bool]:
    """Makes and locks the folder of a new run; the second value says whether an empty one was there before.

    Raises UserError when something is in it or it cannot be made.
    """
    with making(folder):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"run folder taken: {folder} is a file; a new run takes a new or an empty folder")
        _require_empty(folder)
        was_there = folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder)
    try:
        _require_empty(folder)  # another process may have made its run between the first look and the lock
    except UserError:
        lock.release()
        raise
    return lock, was_there


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """Around the making of a folder: what the file system refuses is a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"run folder {folder} cannot be made ({error.strerror})") from None


def remove_unused(folder: Path, *, keep_folder: bool, begun_with: Sequence[Path] = ()) -> bool:
    """Removes what a run wrote, unless there is a row, a checkpoint or a foreign file; returns whether it did.

    The rows and checkpoints that it began with, as copies of `begun_with`, do not count.
    """
    if not _is_unused(folder, {path.name: path for path in begun_with}):
        return False
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if not keep_folder:
        folder.rmdir()
    return True


def read_settings(folder: Path) -> dict[str, Any]:
    """The contents of a run's `config.json`; raises UserError when the folder is not a run."""
    keys = ("experiment", "id", "seed", "tracker", "parent", "config", "config_hash", "source_hash")
    return _read(folder, "config.json", keys)


def read_environment(folder: Path) -> dict[str, Any]:
    """The contents of a run's `environment.json`; raises UserError when the folder is not a run."""
    return _read(folder, "environment.json", ("commit", "packages"))


def find_checkpoint(run: Path, which: Literal["best", "last"]) -> Path:
    """The best or the newest checkpoint of a run; of a run of several stages, its last stage's.

    Raises UserError when the folder is not a run or has no such checkpoint.
    """
    from training.run.checkpoint import newest, read_best

    read_settings(run)
    stages = [stage for stage in stage_folders(run) if (stage / "checkpoints").exists()]
    folder = (stages[-1] if stages else run) / "checkpoints"
    found = newest(folder) if which == "last" else read_best(folder)
    if found is None:
        raise UserError(f"run {run} has no {which} checkpoint yet")
    return found


def _is_unused(folder: Path, begun_with: Mapping[str, Path]) -> bool:
    from training.run.checkpoint import newest_first

    stages = stage_folders(folder)
    for path in folder.iterdir():
        source = begun_with.get(path.name)
        if path.name in ROWS:
            unused = path.stat().st_size <= (source.stat().st_size if source else 0)
        elif source is not None and path.is_dir():
            unused = not (made := newest_first(path)) or int(made[0].name) <= int(newest_first(source)[0].name)
        else:
            unused = path.name in SETTINGS or path in stages
        if not unused:
            return False
    return all(_is_unused(stage, {}) for stage in stages)


def _require_empty(folder: Path) -> None:
    """Of what a run is made of, `config.json` comes last: without it the rest was left by a process that was killed."""
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names <= LEFT_BY_A_KILL:
        return
    if "config.json" in names:
        raise UserError(f"run folder taken: {folder}; resume it with `{program()} resume {folder}`")
    raise UserError(f"run folder taken: {folder} holds other files; a new run takes a new or an empty folder")


def _read(folder: Path, name: str, keys: Sequence[str]) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{folder} is not a run: its {name} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{folder} is not a run: its {name} is not JSON ({error})") from None
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise UserError(f"{folder} is not a run: its {name} lacks {', '.join(missing)}")
    return dict(content)
