"""Reads the log of a run while another process writes it: every row once, however long the log is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from training.run.logger import row_of

CHUNK_BYTES = 2**20


class Follower:
    """The rows of a `metrics.jsonl` or `timing.jsonl` that are new since they were read before.

    A row that is still being written is read once it is whole. A file that was cut, as that of a run that resumes, is
    read from its beginning again, which `begun_anew` says.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._position, self._identity = 0, (0, 0)
        self.begun_anew = False

    def read(self) -> Iterator[dict[str, float]]:
        """The new rows, oldest first: counters are int, all else is float. None where there is no file (any more)."""
        self.begun_anew = False
        try:
            with self._file.open("rb") as file:
                found = os.fstat(file.fileno())
                identity = found.st_dev, found.st_ino
                if found.st_size < self._position or (self._position and identity != self._identity):
                    self._position, self.begun_anew = 0, True
                self._identity = identity
                file.seek(self._position)
                rest = b""
                while chunk := file.read(CHUNK_BYTES):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        self._position += len(line) + 1
                        if (row := _row(line)) is not None:
                            yield row
        except OSError:
            return


def _row(line: bytes) -> dict[str, float] | None:
    """A row; None for what is none: a run that was cut and has grown again may begin in the middle of one."""
    try:
        return row_of(json.loads(line))
    except (ValueError, TypeError, AttributeError):
        return None
