"""What comes after a run: commands that there are, said to a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.shared.after import MOST, print_next
from tests.support.counting import command
from training.experiments import find_scripts

pytestmark = pytest.mark.usefixtures("workplace")


def test_the_next_commands_are_named_in_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("train counting --tracker none") == 0
    assert "next:" not in capsys.readouterr().out
    (run,) = Path("runs/counting").iterdir()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_next(run, "counting", has_policy=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "next: python -m experiments report latest --open"
    assert len(lines) <= MOST
    commands = find_scripts("commands", "TAKES")
    assert all(line.split()[4] in commands for line in lines)
    assert command("train counting --tracker none --run-dir elsewhere") == 0
    capsys.readouterr()
    print_next(Path("elsewhere"), "counting", has_policy=True)
    assert "play elsewhere" in capsys.readouterr().out
    print_next(run, "counting", has_policy=False)
    assert "play" not in capsys.readouterr().out


def test_a_run_that_was_written_elsewhere_is_named_where_there_is_no_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_next(Path("elsewhere"), "counting", has_policy=True)
    assert "play elsewhere" in capsys.readouterr().out
