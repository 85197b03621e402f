"""The progress of a run: plain lines on a pipe, one line in a terminal, and never an error."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from training.core import Budget, Counters
from training.run import console as console_module
from training.run.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress(file: io.StringIO, rows: int = 40, title: str = "ppo_cartpole") -> None:
    latest = {"rollout/return_mean": 412.34, "evaluation/return_mean": 489.0}
    with Console(title, file=file) as console:
        for row in range(1, rows + 1):
            console.update(Counters(env_steps=5000 * row), Budget(5000 * rows), latest)


def test_on_a_pipe_the_console_writes_a_few_plain_lines_and_the_last() -> None:
    file = io.StringIO()
    progress(file)
    first, last = file.getvalue().splitlines()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", file.getvalue())
    assert "ETA –" in first  # one row is no rate
    assert "100%" in last
    assert "200k/200k steps" in last
    assert "return 412.3  eval 489" in last


@pytest.mark.parametrize("width", [30, 50, 80, 140])
def test_in_a_terminal_the_line_is_never_wider_than_the_window(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(width))
    file = Terminal()
    progress(file, title="reinforce_cartpole" if width > 30 else "a_title_that_is_wider_than_the_window")
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue()).replace("\r", "\n").split("\n")
    shown = [line for line in lines if line.strip()]
    assert all(len(line) <= width for line in shown)
    assert file.getvalue().count("\n") == 1  # one line, drawn over and ended once
    if width >= 80:
        assert "100%" in shown[-1]
        assert "ETA 0:00" in shown[-1]
        assert "return 412.3" in shown[-1]
    assert ("200k/200k steps" in shown[-1]) == (width >= 140)


def test_the_console_leaves_the_cursor_visible_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    file = Terminal()

    def shows_the_cursor() -> bool:
        return file.getvalue().rfind("\x1b[?25h") > file.getvalue().rfind("\x1b[?25l")

    with contextlib.suppress(KeyboardInterrupt), Console("x", file=file) as console:
        console.update(Counters(env_steps=1), Budget(10), {})
        assert shows_the_cursor()  # a process may also end here, without another word
        raise KeyboardInterrupt
    assert shows_the_cursor()


def test_what_goes_on_beside_the_progress_is_shown_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_module, "PLAIN_INTERVAL_S", 0.0)
    file = io.StringIO()
    with Console("ppo_cartpole", file=file) as console:
        console.update(Counters(env_steps=50), Budget(100), {})
        console.show("evaluating: 3/20 episodes, 120 env steps")
        console.show("")
        console.update(Counters(env_steps=100), Budget(100), {})
    before, during, after = file.getvalue().splitlines()
    assert "evaluating: 3/20 episodes, 120 env steps" in during
    assert "50%" in during
    assert "evaluating" not in before + after


@pytest.mark.parametrize("terminal", [False, True])
def test_it_can_be_shown_without_any_progress(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    file = Terminal() if terminal else io.StringIO()
    with Console("evaluate", file=file) as console:
        console.show("evaluating: 3/20 episodes")
    assert "evaluate" in file.getvalue()
    assert "evaluating: 3/20 episodes" in file.getvalue()
