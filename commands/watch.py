"""Watch a run in the terminal while it goes on, with its curves and its ETA; q ends it: --once prints one picture."""

from __future__ import annotations

import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from commands.command_line import first_run, print_help, wants_help
from training.errors import require
from training.options import parse_options
from training.run.runs import LATEST, all_runs

TAKES = "[RUN]"
DEFAULT_HEIGHT = 30
"""Of one picture that no terminal shows."""


@dataclass(frozen=True)
class Options:
    """How it is shown."""

    once: bool = False
    """Print one picture and end; so it is where the output is no terminal."""
    every_s: float = 1.0
    """How often it looks."""


def main(argv: Sequence[str], _: str) -> int:
    """Shows the curves, the progress, the newest values and the diagnosis of a run, by default the newest that goes on.

    Ends with q or Ctrl-C; the run notices nothing.
    """
    if wants_help(argv):
        return print_help("watch [RUN]", main.__doc__, Options())
    if not argv or argv[0].startswith("-"):
        argv = [_going_on(), *argv]
    folder = first_run(argv, "watch")
    (options,) = parse_options(argv[1:], Options())
    require(options.every_s > 0, "every_s", options.every_s, "above 0")
    _show(folder, options)
    return 0


def _going_on() -> str:
    """The newest run that goes on, otherwise the newest."""
    return next((str(state.folder) for state in all_runs() if state.status == "running"), LATEST)


def _show(folder: Path, options: Options) -> None:
    from rich.console import Console
    from rich.live import Live

    from reports.run_picture import picture
    from reports.watched import Watched

    console, watched = Console(highlight=False), Watched(folder)
    if options.once or not console.is_terminal or console.is_dumb_terminal:
        height = console.height - 1 if console.is_terminal else DEFAULT_HEIGHT
        console.print(picture(watched.look(), console.width, height))
        return
    with (
        _ending(),
        _keys(),
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while True:
            live.update(picture(watched.look(), console.width, console.height - 1), refresh=True)
            if _quit_within(options.every_s):
                return


@contextmanager
def _ending() -> Iterator[None]:
    """Ctrl-C and a termination end the block without a word, and give the terminal back."""

    def end(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _keys() -> Iterator[None]:
    """Keys come one by one and are not shown, where there is a keyboard."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _quit_within(seconds: float) -> bool:
    """Whether q is pressed in this time; returns at once then."""
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return False
    import os

    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0]:
            pressed = os.read(sys.stdin.fileno(), 64)
            if not pressed or pressed.lower().startswith(b"q"):
                return True
    return False
