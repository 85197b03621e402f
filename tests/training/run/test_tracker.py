from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import ROOT
from tests.support.tracked import end, make_run, offline_runs, read_back, train
from training.errors import UserError
from training.run.tracker import read_trackers, sync

pytestmark = pytest.mark.usefixtures("logged_out")
SYNC = "`python -m experiments sync {folder}` copies all of it."


class Misbehaving(BaseHTTPRequestHandler):
    """Answers nothing but what its server says."""

    def do_POST(self) -> None:
        server: Any = self.server
        time.sleep(server.delay_s)
        with contextlib.suppress(OSError):  # who asked may be gone
            self.send_error(500)

    do_GET = do_PUT = do_POST  # noqa: N815 - as the library calls them

    def log_message(self, *_: Any) -> None: ...


@contextlib.contextmanager
def server_that(behaves: str) -> Iterator[int]:
    """The port of a server that is silent, refuses, breaks or is slow and then breaks."""
    if behaves == "is silent":
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield server.getsockname()[1]
        return
    if behaves == "refuses":
        yield 9  # nobody listens there
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving) as http:
        http.daemon_threads, http.block_on_close = True, False
        vars(http)["delay_s"] = 5.0 if behaves == "is slow" else 0.0
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield http.server_port
        http.shutdown()


def process_settings() -> list[Any]:
    """What wandb changes in the process that runs it."""
    return [
        "wandb" in sys.modules,
        sys.exit,
        sys.excepthook,
        dict(os.environ),
        *(signal.getsignal(number) for number in (2, 15)),
    ]


def test_an_offline_copy_has_config_every_row_and_summary_and_leaves_the_process_alone(tmp_path: Path) -> None:
    before = process_settings()
    logger, tracker = make_run(tmp_path / "run", "auto")
    train(logger, range(1, 31))
    end(tmp_path / "run", tracker)
    assert process_settings() == before
    (offline_run,) = offline_runs(tmp_path / "run")
    assert tracker.copies == [("wandb", str(offline_run))]
    copy = read_back(offline_run)
    assert copy["run"]["project"] == "regimen"
    assert copy["run"]["run_group"].startswith("ppo_cartpole-")
    assert (copy["run"]["run_id"], copy["run"]["display_name"]) == ("seed-1", "seed-1")
    config = copy["run"]["config"]["update"]
    assert config["config"] == {"agent": {"learning_rate": 3e-4}}
    assert config["parent"] == "runs/x/first"
    assert [row["_step"] for row in copy["history"][:-1]] == list(range(30))  # the last one has the evaluations
    assert [row["env_steps"] for row in copy["history"][:-1]] == list(range(10, 310, 10))
    assert copy["history"][4]["loss"] == 1 / 5
    assert copy["history"][4]["broken"] == "NaN"
    assert copy["history"][4]["timing/wall_time_s"] > 0
    assert "env_steps" in copy["axes"]
    assert copy["summary"]["evaluation/return_mean"] == 489.5
    assert copy["summary"]["status"] == "completed"
    assert copy["summary"]["exact"] is False
    assert copy["summary"]["inexact"] == ["a worker was lost"]
    assert copy["exit_code"] == [0]


def test_a_run_resumed_offline_is_made_whole_by_sync(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    logger, tracker = make_run(folder, "none")
    train(logger, range(1, 11))
    state = logger.state_dict()
    train(logger, range(11, 16))  # lost: it was killed before the next checkpoint
    logger, tracker = make_run(folder, "none")
    logger.load_state_dict(state)
    train(logger, range(11, 21))
    end(tmp_path / "run", tracker)
    assert not (folder / "wandb").exists()  # --tracker none

    copy = read_back(Path(sync(folder)))
    assert [row["env_steps"] for row in copy["history"][:-1]] == list(range(10, 210, 10))
    assert copy["run"]["run_id"] == "seed-1"
    assert copy["summary"]["evaluation/return_mean"] == 489.5


def descendants() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize(
    "behaves", ["is silent", *(pytest.param(how, marks=pytest.mark.full) for how in ("refuses", "breaks", "is slow"))]
)
def test_a_server_that_misbehaves_costs_the_end_of_a_run_a_bounded_wait_and_one_line(
    behaves: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, before = tmp_path / "run", descendants()
    with server_that(behaves) as port:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
        logger, tracker = make_run(folder, "auto,tensorboard", finish_timeout_s=8)
        train(logger, range(1, 201))
        begin = time.monotonic()
        end(folder, tracker)
        assert time.monotonic() - begin < 60  # it hangs for minutes where nothing bounds it
    assert tracker.copies == [("tensorboard", str(folder / "tensorboard"))], "the others are whole"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("W&B: ")
    assert line.endswith(f"The run is complete without it, its copy is not; {SYNC.format(folder=folder)}")
    assert descendants() == before, "nothing goes on after the end"
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert not any(b"f" * 40 in file.read_bytes() for file in files)
    assert len(read_back(Path(sync(folder, "offline")))["history"][:-1]) == 200


def test_rows_are_written_while_nothing_that_copies_them_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a stopped process cannot delay, no server that it talks to can."""
    logger, tracker = make_run(tmp_path / "run", "offline,tensorboard", finish_timeout_s=1)
    train(logger, range(1, 2))
    copiers = psutil.Process().children()
    assert len(copiers) >= 2
    for copier in copiers:
        copier.suspend()
    train(logger, range(2, 2002))  # ten times what a pipe or a socket holds
    end(tmp_path / "run", tracker)
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["W&B", "TensorBoard"]
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 2001


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ("wandbb", "auto, online or offline, which are W&B, tensorboard, several with commas between them, or none"),
        ("none,tensorboard", "auto, online or offline"),
        ("", "auto, online or offline"),
        ("online,offline", "a tracker once"),
        ("tensorboard+weights", "tensorboard with +histograms"),
        ("online+weights+weights", "online with +weights, +histograms, +code"),
    ],
)
def test_a_tracker_that_there_is_not_is_refused(asked: str, complaint: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"tracker = {asked!r}: it takes {complaint}")):
        read_trackers(asked)


def test_a_tracker_whose_package_is_missing_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match=r"tracker = 'tensorboard': a package is missing .* -e \"\.\[tensorboard\]\""):
        read_trackers("tensorboard")


def test_trackers_are_read_as_they_are_spelled() -> None:
    assert read_trackers("none") == ()
    assert read_trackers("wandb") == read_trackers("auto")
    targets = read_trackers("online+weights+code,tensorboard+histograms")
    assert [str(target) for target in targets] == ["online+weights+code", "tensorboard+histograms"]


def test_a_copier_that_dies_is_told_once_and_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, tracker = make_run(tmp_path / "run", "online")  # nobody is logged in
    deadline = time.monotonic() + 60
    train(logger, range(1, 2))
    update, said = 2, ""
    while not said and time.monotonic() < deadline:
        train(logger, range(update, update + 1))
        update, said = update + 1, capsys.readouterr().err
        time.sleep(0.05)
    assert "not logged in; `wandb login`" in said
    train(logger, range(update, update + 5))
    end(tmp_path / "run", tracker)
    assert capsys.readouterr().err == ""


def test_the_copier_of_a_killed_run_copies_what_there_is_and_ends(tmp_path: Path) -> None:
    script = f"""if True:
        import os, signal
        from pathlib import Path
        from tests.support.tracked import make_run, train
        logger, tracker = make_run(Path({str(tmp_path / "run")!r}), "offline")
        train(logger, range(1, 6))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    root = ROOT
    killed = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    ended: list[Path] = []
    while not ended and time.monotonic() < deadline:
        time.sleep(0.2)
        ended = [log for log in (tmp_path / "run").rglob("debug-core.log") if "connections closed" in log.read_text()]
    copy = read_back(*offline_runs(tmp_path / "run"))
    assert len(copy["history"]) == 5
    assert copy["exit_code"] == [1]


def test_sync_refuses_a_folder_that_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no metrics\.jsonl"):
        sync(tmp_path)


def test_sync_says_in_one_line_why_it_failed(tmp_path: Path) -> None:
    logger, _ = make_run(tmp_path / "run", "none")
    train(logger, range(1, 3))
    with pytest.raises(UserError, match="not logged in"):
        sync(tmp_path / "run", "online")
