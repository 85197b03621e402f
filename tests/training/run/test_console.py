"""The progress of a run: plain lines on a pipe, one line in a terminal, and never an error."""

from __future__ import annotations

import contextlib
import io
import re
import time

import pytest

from training.core import Budget, Counters
from training.run import console as console_module
from training.run.console import Console
from training.run.forecast import Forecast


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress(file: io.StringIO, rows: int = 40, title: str = "ppo_cartpole") -> None:
    latest = {"rollout/return_mean": 412.34, "evaluation/return_mean": 489.0}
    forecast = Forecast(Budget(5000 * rows))
    with Console(title, file=file) as console:
        for row in range(1, rows + 1):
            forecast.trained(time.monotonic(), Counters(env_steps=5000 * row))
            console.update(forecast, latest)


def at(env_steps: int, of: int) -> Forecast:
    forecast = Forecast(Budget(of))
    forecast.trained(time.monotonic(), Counters(env_steps=env_steps))
    return forecast


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
        console.update(at(1, 10), {})
        assert shows_the_cursor()  # a process may also end here, without another word
        raise KeyboardInterrupt
    assert shows_the_cursor()


def test_what_goes_on_beside_the_progress_is_shown_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_module, "PLAIN_INTERVAL_S", 0.0)
    file = io.StringIO()
    with Console("ppo_cartpole", file=file) as console:
        console.update(at(50, 100), {})
        console.show("evaluating: 3/20 episodes, 120 env steps")
        console.show("")
        console.update(at(100, 100), {})
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


def test_between_two_rows_a_terminal_shows_how_far_it_is_and_a_pipe_gets_no_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(console_module, "PLAIN_INTERVAL_S", 0.0)
    for file, is_shown in ((Terminal(), True), (io.StringIO(), False)):
        with Console("x", file=file) as console:
            console.tick(at(37, 100))
        assert ("37%" in file.getvalue()) == is_shown


def test_a_measurement_that_is_no_part_of_a_run_has_an_eta_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_module, "PLAIN_INTERVAL_S", 0.0)
    clock = iter(range(1000))
    monkeypatch.setattr(console_module.time, "monotonic", lambda: next(clock) / 3)
    file = io.StringIO()
    with Console("evaluate", file=file) as console:
        for tenth in range(1, 4):
            console.show("evaluating: some episodes", tenth / 10)
    assert " 30%  ETA 0:0" in file.getvalue().splitlines()[-1]
