"""Ctrl-C and termination: the first signal asks the loop to save and end, a second Ctrl-C ends at once.

To interrupt the kernel of a notebook is Ctrl-C. There the second ends the run and leaves the kernel as it is.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from training.notebook import in_notebook

_requested: int | None = None


class Interrupted(Exception):  # noqa: N818 - it is no error
    """The run saved its state and ended because of a signal; the exit code is 128 + `signal_number`."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)  # what it is made from again in another process
        self.signal_number = signal_number

    def __str__(self) -> str:
        return f"interrupted by {signal.Signals(self.signal_number).name}"

    def _render_traceback_(self) -> list[str]:
        """How a notebook shows it."""
        return [str(self), *getattr(self, "__notes__", ())]


def requested() -> int | None:
    """The number of the signal that asked the run to end, None while there is none."""
    return _requested


def request(number: int | None) -> None:
    """Asks the run to end as that signal would, which another process got; None takes it back."""
    global _requested
    _requested = number


def check() -> None:
    """Raises `Interrupted` when a signal asked the run to end."""
    if _requested is not None:
        raise Interrupted(_requested)


@contextmanager
def catch() -> Iterator[None]:
    """Takes SIGINT and SIGTERM in the block. Only the main thread gets signals: in others it changes nothing."""
    global _requested
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _requested = None
    previous = {number: signal.signal(number, _handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _requested = None


def _handle(number: int, _: FrameType | None) -> None:
    global _requested
    if _requested is None:
        _requested = number
        # Not print: the signal may arrive while the program is inside a write to the same buffer.
        with suppress(OSError):  # the terminal may be gone
            again = b"interrupt" if in_notebook() else b"press Ctrl-C"
            os.write(2, b"\nsaving; " + again + b" again to stop at once\n")
    elif number == signal.SIGINT:
        if in_notebook():
            raise KeyboardInterrupt  # what else the kernel holds is not the run's to end
        if os.isatty(2):
            os.write(2, b"\x1b[?25h")  # the progress line hides the cursor
        # Die of the signal itself, so that the shell and the parent process see what happened (code 130).
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
