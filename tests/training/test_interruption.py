"""Signals: the first asks the run to save and end, a second Ctrl-C ends it at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Thread

import pytest

from tests.support.runs import result, script
from training import interruption
from training.interruption import Interrupted

LOOP = """
import sys, time
from pathlib import Path
from tests.support.runs import create, train
from training import interruption
for folder in map(Path, sys.argv[1:]):
    try:
        with interruption.catch(), create(folder) as run:
            print("ready", flush=True)
            if folder.name == "slow":
                while not interruption.requested():
                    time.sleep(0.01)
                print("asked", flush=True)
                time.sleep(30)
            train(run, 1_000_000)
    except interruption.Interrupted as interrupted:
        print(interrupted.signal_number, flush=True)
"""


def test_signals_save_and_end_the_run_and_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    with script(LOOP, tmp_path / "SIGINT", tmp_path / "SIGTERM", tmp_path / "slow") as process:
        assert process.stdout is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            folder = tmp_path / number.name
            assert process.stdout.readline() == "ready\n"
            while not (folder / "checkpoints").exists():
                time.sleep(0.01)
            process.send_signal(number)
            assert process.stdout.readline() == f"{int(number)}\n"
            written = result(folder)
            assert written["status"] == "interrupted"
            assert written["counters"]["updates"] == int(Path(written["checkpoint"]).name) > 0
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert process.poll() is None, "a second termination changes nothing"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=5)
    assert process.returncode == -signal.SIGINT  # a shell shows it as 130
    assert told.count("saving; press Ctrl-C again to stop at once\n") == 3


def test_handlers_are_put_back_and_other_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interruption.catch():
        assert signal.getsignal(signal.SIGINT) != before[0]
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.requested() == signal.SIGTERM
        with pytest.raises(Interrupted, match="SIGTERM"):
            interruption.check()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert interruption.requested() is None
    failures: list[BaseException] = []

    def elsewhere() -> None:
        try:
            with interruption.catch():
                assert signal.getsignal(signal.SIGINT) == before[0]
        except BaseException as error:
            failures.append(error)

    thread = Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert failures == []
