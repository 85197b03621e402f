"""How far a run is at this moment, in its folder, for other processes to read: between two rows, and in measurements.

`progress.json` is written every few seconds while the run goes on and is gone when it ends. One that a kill left is
old, and the run's folder is not held by anybody.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "progress.json"
INTERVAL_S = 2.0


@dataclass(frozen=True)
class Progress:
    """How far a run, or its stage, is."""

    at: float
    """When, in seconds since 1970."""
    done: int
    total: int
    unit: str
    per_second: float | None
    """Of training alone, lately."""
    seconds_left: float | None
    """With all that it still measures; None: not known yet."""
    doing: str
    """What goes on beside the training."""
    inexact: list[str]
    """Why it is known already not to be exact; its parts say so at the end."""

    @property
    def left_s(self) -> float | None:
        """From now on."""
        return None if self.seconds_left is None else max(0.0, self.seconds_left - (time.time() - self.at))


def write_progress(folder: Path, progress: Progress) -> None:
    """Writes it anew; nothing happens where that fails: a run does not depend on it."""
    unfinished = folder / f"{FILE}.unfinished"
    with suppress(OSError):
        unfinished.write_text(json.dumps(asdict(progress)), encoding="ascii")
        os.replace(unfinished, folder / FILE)


def remove_progress(folder: Path) -> None:
    """Removes it at the end of a run."""
    with suppress(OSError):
        (folder / FILE).unlink()


def read_progress(folder: Path) -> Progress | None:
    """What a run wrote last; None where there is nothing to read."""
    try:
        return Progress(**json.loads((folder / FILE).read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError):
        return None
