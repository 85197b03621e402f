"""The folder of a run: who may write into it, and what is said of one that is none."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import create, script
from training.errors import UserError
from training.run.folder import Lock, find_checkpoint, read_settings
from training.run.run import Run


def test_a_folder_that_is_taken_is_refused_and_left_alone(tmp_path: Path) -> None:
    with create(tmp_path / "run"):
        pass
    with pytest.raises(UserError, match=r"taken: .*run; resume it with `python -m experiments resume .*run`"):
        create(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").touch()
    with pytest.raises(UserError, match=r"taken: .*other holds other files"):
        create(tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match=r"taken: .*notes.txt is a file"):
        create(tmp_path / "other/notes.txt")
    (tmp_path / "empty").mkdir()
    with create(tmp_path / "empty") as run:
        assert run.folder == tmp_path / "empty"


def test_what_a_process_left_that_was_killed_while_it_made_the_folder_is_in_nobodys_way(tmp_path: Path) -> None:
    left = ["lock", "environment.json.unfinished", "environment.json", "config.json.unfinished"]
    for count in range(1, len(left) + 1):
        folder = tmp_path / str(count)
        folder.mkdir()
        for name in left[:count]:
            (folder / name).write_text("{")
        with create(folder) as run:
            assert read_settings(run.folder)["experiment"] == "example"


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    for make in (lambda: None, lambda: (tmp_path / "config.json").write_text("[]")):
        make()
        for use in (Run.open, read_settings, lambda folder: find_checkpoint(folder, "last")):
            with pytest.raises(UserError, match=f"{tmp_path} is not a run"):
                use(tmp_path)
    assert not (tmp_path / "lock").exists()
    with create(tmp_path / "run"):
        (tmp_path / "run/environment.json").unlink()
    with pytest.raises(UserError, match=r"run is not a run: its environment.json cannot be read"):
        Run.open(tmp_path / "run")
    with pytest.raises(UserError, match="missing is not a run"):
        Run.open(tmp_path / "missing")


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, reason in (("file/sub", "Not a directory"), ("x" * 300, "File name too long")):
        with pytest.raises(UserError, match=rf"^run folder .*{folder} cannot be made \({reason}\)$"):
            create(tmp_path / folder)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed/lock").mkdir()  # permissions do not stop root, who may run this test
    with pytest.raises(UserError, match=r"^run folder .*closed cannot be written \(Is a directory\)$"):
        create(tmp_path / "closed")


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    with create(tmp_path), pytest.raises(UserError, match="no best checkpoint yet"):
        find_checkpoint(tmp_path, "best")


HOLD = """
import multiprocessing, sys, time
from pathlib import Path
from tests.support.runs import Config
from training.run.run import Run
run = Run.create("example", Config(), folder=Path(sys.argv[1]), tracker="none")
worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
worker.start()
print(worker.pid, flush=True)
time.sleep(30)
"""


def test_the_lock_names_its_holder_and_ends_with_it_even_by_kill_9(tmp_path: Path) -> None:
    with script(HOLD, tmp_path / "run") as holder:
        assert holder.stdout is not None
        orphan = int(holder.stdout.readline())
        try:
            with pytest.raises(UserError, match=f"locked by process {holder.pid}"):
                Run.open(tmp_path / "run")
            with pytest.raises(UserError, match="taken"):
                create(tmp_path / "run")
            holder.kill()
            holder.wait()
            os.kill(orphan, 0)  # a worker of the dead process still lives, and does not hold the folder
            with Run.open(tmp_path / "run") as run:
                assert (tmp_path / "run/lock").read_text() == f"{os.getpid()}\n"
                with pytest.raises(UserError, match=f"locked by process {os.getpid()}"):
                    Run.open(run.folder)
            Run.open(tmp_path / "run").close()
        finally:
            os.kill(orphan, signal.SIGKILL)


def test_a_lock_is_not_taken_on_a_file_that_was_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Lock(tmp_path)
    flock = fcntl.flock

    def after_the_release(file: Any, how: int) -> None:
        first.release()  # between the opening and the locking
        flock(file, how)

    monkeypatch.setattr("fcntl.flock", after_the_release)
    second = Lock(tmp_path)
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n", "the file that others find is the one that is held"
    second.release()
