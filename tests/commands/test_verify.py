"""`verify`: seeds are trained once, and claims judged over all of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reports.tables import write_docs
from tests.support.counting import PACKAGE, command, result_of, wait_until

pytestmark = pytest.mark.usefixtures("workplace")


def train_for_verify(name: str, folder: str, seeds: range, options: str = "") -> None:
    for seed in seeds:
        line = f"train {name} --seed {seed} --tracker none --run-dir {folder}/seed-{seed} {options}"
        assert command(line) == 0


def test_verify_judges_finished_seeds_against_target_and_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    folder = "runs/compared/verify"
    train_for_verify("compared", folder, range(1, 6))
    train_for_verify("counting", f"{folder}/baseline-counting", range(1, 6))
    capsys.readouterr()
    assert command("verify compared") == 1
    said = capsys.readouterr()
    assert said.err.count("finished before") == 10
    assert "claim: score >= 300: does not hold (106, " in said.out
    assert "claim: score >= counting: holds (3, " in said.out

    report = json.loads(Path("docs/results/compared.json").read_text())
    assert report == json.loads(Path(folder, "verdict.json").read_text())
    assert [claim["holds"] for claim in report["claims"]] == [False, True]
    assert [figures["final"]["score"] for figures in report["runs"]["compared"]] == [102, 104, 106, 108, 110]
    assert [figures["final"]["score"] for figures in report["runs"]["counting"]] == [101, 102, 103, 104, 105]
    assert report["command"] == "python -m experiments verify compared --seeds 5"
    assert {"commit", "date", "hardware", "packages", "python"} <= set(report)

    Path("README.md").write_text("before\n<!-- results:comp* -->\nold\n<!-- /results -->\nafter\n")
    assert command("results") == 0
    text = Path("README.md").read_text()
    assert "| `compared` | score >= 300 | 106 | 102.074 to 109.926 | 5 | no | 40 | " in text
    assert text.startswith("before\n<!-- results:comp* -->\n| experiment |")
    assert text.endswith("|\n<!-- /results -->\nafter\n")
    assert write_docs(Path()) == []


def test_verify_continues_where_it_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    """Seed 1 is finished, seed 2 was stopped, seed 3 is of another config."""
    folder = Path("out")
    train_for_verify("counting", "out", range(1, 4))
    stopped = result_of("out/seed-2")
    Path("out/seed-2/result.json").write_text(json.dumps({**stopped, "status": "interrupted"}))
    Path("out/seed-3").rename("elsewhere")
    train_for_verify("counting", "out", range(3, 4), options="--gain 5")
    before = Path("out/seed-1/result.json").stat().st_mtime_ns
    capsys.readouterr()

    assert command("verify counting --seeds 3 --jobs 2 --run-dir out") == 0
    said = capsys.readouterr().err
    assert "counting seed 1: finished before" in said
    assert "counting seed 2: resumes" in said
    assert "set aside as out/seed-3.1" in said
    assert "counting seed 3: trains" in said
    assert Path("out/seed-1/result.json").stat().st_mtime_ns == before
    assert result_of("out/seed-2")["status"] == "completed"
    assert result_of("out/seed-3.1")["metrics"]["score"] == 115
    assert result_of("out/seed-3")["metrics"] == result_of("elsewhere")["metrics"]
    assert json.loads((folder / "verdict.json").read_text())["claims"][0]["seeds"] == [1, 2, 3]
    assert not Path("docs").exists(), "three seeds are fewer than usual"


def test_verify_shows_the_end_of_a_failing_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("verify counting --seeds 1 --broken crash") == 1
    said = capsys.readouterr().err
    assert "counting seed 1: failed with exit code 1" in said
    assert "RuntimeError: the bridge fell" in said


def test_a_seed_that_complains_about_the_input_ends_verify_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("verify counting --seeds 1 --broken mistake") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "error: counting seed 1: the extra is missing: install it with pip"


def test_an_interrupted_verify_leaves_no_process_behind() -> None:
    asked = "verify counting --seeds 2 --jobs 2 --env-steps 100000 --pause-s 0.02 --run-dir out"
    process = subprocess.Popen([sys.executable, "-m", PACKAGE, *asked.split()], stderr=subprocess.DEVNULL)
    folders = [Path("out/seed-1"), Path("out/seed-2")]
    wait_until(lambda: all(any((folder / "checkpoints").glob("*[0-9]")) for folder in folders), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    for folder in folders:
        assert result_of(folder)["status"] == "interrupted"
