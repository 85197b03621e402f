"""`watch`: in a terminal of its own, while a run goes on in another process."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support import runs
from tests.support.counting import command

pytestmark = pytest.mark.usefixtures("workplace")
LEAVES = b"\x1b[?1049l"
"""What gives the screen back as it was."""


@contextmanager
def watching(*words: str, columns: int = 100, lines: int = 30) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command in a terminal of its own, whose other end is given too."""
    own, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments", "watch", *words],
        stdin=other, stdout=other, stderr=other, start_new_session=True, env={**environment, "TERM": "xterm-256color"},
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    try:
        yield process, own
    finally:
        process.kill()
        process.wait()
        os.close(own)
        os.close(other)


def read_until(own: int, *words: bytes, seconds: float = 120.0) -> bytes:
    text, until = b"", time.monotonic() + seconds
    while not all(word in text for word in words):
        assert time.monotonic() < until, f"{words} did not come: {text[-2000:]!r}"
        if select.select([own], [], [], 0.2)[0]:
            text += os.read(own, 65536)
    return text


def test_a_run_is_watched_while_it_goes_on_and_q_gives_the_terminal_back() -> None:
    with runs.create(Path("run")) as run:
        runs.train(run, 3)
        with watching("run", "--every-s", "0.1") as (process, own):
            before = termios.tcgetattr(own)
            read_until(own, b"running", b"loss")
            with Path("run/metrics.jsonl").open("a") as log:
                log.write('{"env_steps": 40, "updates": 4, "newest": 7.25}\n')
            read_until(own, b"7.25")
            fcntl.ioctl(own, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 40, 0, 0))  # it is made smaller
            read_until(own, b"newest")
            os.write(own, b"q")
            said = read_until(own, LEAVES)
            assert process.wait(60) == 0
            assert b"Traceback" not in said
            assert termios.tcgetattr(own)[3] == before[3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_word(number: signal.Signals) -> None:
    with runs.create(Path("run")) as run:
        runs.train(run, 3)
        with watching("run", "--every-s", "0.2") as (process, own):
            read_until(own, b"running")
            if number == signal.SIGINT:
                os.write(own, b"\x03")  # Ctrl-C
            else:
                process.send_signal(number)
            said = read_until(own, LEAVES)
            assert process.wait(60) == 0
            assert b"Traceback" not in said


def test_without_a_terminal_there_is_one_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker none") == 0
    capsys.readouterr()
    assert command("watch") == 0
    said = capsys.readouterr()
    assert "counting" in said.out
    assert "completed" in said.out
    assert "\x1b" not in said.out
    assert "latest is runs/counting/" in said.err


def test_the_newest_that_goes_on_comes_before_a_newer_one_that_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("runs/example/20200101T000000Z-seed3-aaaa")
    with runs.create(folder) as run:
        runs.train(run, 2)
        settings = json.loads((folder / "config.json").read_text()) | {"id": folder.name}
        (folder / "config.json").write_text(json.dumps(settings))
        assert command("train counting --tracker none") == 0
        capsys.readouterr()
        assert main(["watch", "--once"]) == 0
        assert "example" in capsys.readouterr().out
    assert main(["watch", "--once"]) == 0
    assert "counting" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("watch", "latest is not a run: there is none in runs/ yet"),
        ("watch nowhere", "nowhere is not a run"),
        ("watch . --once", ". is not a run: its config.json cannot be read"),
        ("watch . --every-s 0", "every_s = 0.0: it takes above 0"),
        ("watch . --twice", "twice"),
    ],
)
def test_a_mistake_is_one_line(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error:")
    assert told in said.err
    assert said.err.count("\n") == 1
