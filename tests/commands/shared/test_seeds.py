"""Seeds side by side: what is finished is left, what was stopped goes on, and nothing outlives the command."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.counting import PACKAGE, command, result_of, train_for_verify, wait_until

pytestmark = pytest.mark.usefixtures("workplace")


def test_verify_continues_where_it_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    """Seed 101 is finished, seed 102 was stopped, seed 103 is of another config."""
    folder = Path("out")
    train_for_verify("counting", "out", range(101, 104))
    stopped = result_of("out/seed-102")
    Path("out/seed-102/result.json").write_text(json.dumps({**stopped, "status": "interrupted"}))
    Path("out/seed-103").rename("elsewhere")
    train_for_verify("counting", "out", range(103, 104), options="--gain 5")
    before = Path("out/seed-101/result.json").stat().st_mtime_ns
    capsys.readouterr()

    assert command("verify counting --jobs 2 --run-dir out") == 0
    said = capsys.readouterr().err
    assert "counting seed 101: finished before" in said
    assert "counting seed 102: resumes" in said
    assert "set aside as out/seed-103.1" in said
    assert "counting seed 103: trains" in said
    assert Path("out/seed-101/result.json").stat().st_mtime_ns == before
    assert result_of("out/seed-102")["status"] == "completed"
    assert result_of("out/seed-103.1")["metrics"]["score"] == 615
    assert result_of("out/seed-103")["metrics"] == result_of("elsewhere")["metrics"]
    assert json.loads((folder / "verdict.json").read_text())["claims"][0]["seeds"] == [101, 102, 103]


@pytest.mark.full
def test_a_seed_that_is_over_tells_when_the_others_will_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("verify counting --seeds 2") == 1
    first, last = [line for line in capsys.readouterr().err.splitlines() if ": done" in line]
    assert re.fullmatch(r"counting seed 101: done, ETA \d+:\d\d for the others", first)
    assert last == "counting seed 102: done"


def test_a_seed_that_complains_about_the_input_ends_verify_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("verify counting --broken mistake") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "error: counting seed 101: the extra is missing: install it with pip"


def test_an_interrupted_verify_leaves_no_process_behind() -> None:
    asked = "verify counting --seeds 2 --jobs 2 --env-steps 100000 --pause-s 0.02 --run-dir out"
    process = subprocess.Popen([sys.executable, "-m", PACKAGE, *asked.split()], stderr=subprocess.DEVNULL)
    folders = [Path("out/seed-101"), Path("out/seed-102")]
    wait_until(lambda: all(any((folder / "checkpoints").glob("*[0-9]")) for folder in folders), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    for folder in folders:
        assert result_of(folder)["status"] == "interrupted"
