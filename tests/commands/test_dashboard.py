"""`dashboard`: it serves the runs in runs/ until it is ended."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from experiments.__main__ import main
from tests.support.counting import command

pytestmark = pytest.mark.usefixtures("workplace")


def test_it_serves_the_runs_until_ctrl_c() -> None:
    assert command("train counting --tracker none") == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments", "dashboard", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found
        with urllib.request.urlopen(found[0], timeout=60) as answer:
            page = answer.read().decode()
        assert "counting" in page
        assert "completed" in page
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert said == ""


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for words, told in (
            (["--port", str(port)], f"port = {port}: the dashboard cannot be there"),
            (["--port", "99999"], "port = 99999: it takes a number from 0 to 65535"),
            (["--host", "no.such.host.invalid"], "the dashboard cannot be there"),
            (["runs"], "runs"),
        ):
            assert main(["dashboard", *words]) == 2
            said = capsys.readouterr()
            assert said.out == ""
            assert told in said.err
            assert said.err.count("\n") == 1
