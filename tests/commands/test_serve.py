"""`serve`: what it refuses before a server starts, and a server that a signal ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.serving.test_ray_serve import ask, free_port
from tests.support import ROOT
from tests.support.exported import POLICIES, balancing, write_policy_run
from tests.support.packages import needs

pytestmark = pytest.mark.usefixtures("workplace")


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    write_policy_run(Path("run"), POLICIES["ppo"]())
    for words, told in (
        (["nothing"], "nothing is not a run"),
        (["run", "--port", "99999"], "port = 99999: it takes 1 to 65535"),
        (["run", "--checkpoint", "best"], "has no best checkpoint yet"),
    ):
        assert main(["serve", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    assert main(["serve", "--help"]) == 0


@pytest.mark.full
@needs("starlette", "serve")
def test_it_serves_until_a_signal_ends_it() -> None:
    write_policy_run(Path("run"), balancing())
    port = free_port()
    command = [sys.executable, "-m", "experiments", "serve", str(Path("run").absolute()), "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = next(one for one in server.stdout if one.startswith("serving"))
        assert line.startswith(f"serving example at http://127.0.0.1:{port}: /act")
        assert ask(f"http://127.0.0.1:{port}/act", {"obs": [[0, 0, 0.1, 0]]}) == (200, {"action": [1]})
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
