"""Runs a command of the experiments in a child process that ends when its parent does.

Usage: `python -m training.cluster.child_process PARENT PACKAGE COMMAND ...`.

A parent that is killed cannot end its children; a run that goes on without it would hold its folder against whoever
continues the work. So the child looks whether its parent is still there, saves as for any signal, and ends.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Sequence

LOOK_EVERY_S = 0.5
END_TIMEOUT_S = 60.0


def command(package: str, *words: str) -> list[str]:
    """What to start for `python -m PACKAGE words`, so that it does not outlive this process."""
    return [sys.executable, "-m", "training.cluster.child_process", str(os.getpid()), package, *words]


def main(argv: Sequence[str]) -> None:
    """Runs the package's command in this process and watches its parent meanwhile."""
    parent, package, *words = argv
    threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
    sys.argv = [package, *words]
    runpy.run_module(package, run_name="__main__", alter_sys=True)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_TIMEOUT_S)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
