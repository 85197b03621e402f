"""What a cluster executes for `submit`: one run in a child process, whose folder is copied to storage as it grows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from training.cluster import child_process
from training.cluster.storage import Storage
from training.errors import UserError

SEND_EVERY_S = 10.0
"""What a job loses at most, beside what was trained since the last checkpoint, when its machine is lost."""


@dataclass(frozen=True)
class Job:
    """What was submitted."""

    package: str
    experiment: str
    options: tuple[str, ...]
    storage: str
    """The place of this one run."""

    def to_json(self) -> str:
        """One word for a command line."""
        return json.dumps(asdict(self))


def run(job: Job, *, send_every_s: float = SEND_EVERY_S) -> int:
    """Trains, or resumes what the storage has of the run; returns the exit code of the command.

    Raises UserError for a storage that is none.
    """
    storage = Storage(job.storage)
    with tempfile.TemporaryDirectory(prefix="regimen-job-") as place:
        folder = Path(place, "run")
        storage.fetch(folder)
        words = ["train", job.experiment, "--tracker=none", f"--run-dir={folder}", *job.options]
        if (folder / "config.json").exists():
            words = ["resume", str(folder)]
        process = subprocess.Popen(child_process.command(job.package, *words), stdin=subprocess.DEVNULL)

        def end(number: int, _: FrameType | None) -> None:
            process.send_signal(number)

        previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            sent = time.monotonic()
            while process.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - sent > send_every_s and (folder / "config.json").exists():
                    try:
                        storage.send(folder)
                    except OSError as error:
                        print(f"warning: {job.storage} did not take the run, tried again: {error}", file=sys.stderr)
                    sent = time.monotonic()
            if folder.exists():
                storage.send(folder)
        finally:
            process.terminate()  # only where this process failed: else it has ended
            process.wait()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return process.returncode


def main(argv: Sequence[str]) -> int:
    """Carries out the job that is given as one word of JSON."""
    told = json.loads(argv[0])
    try:
        return run(Job(**{**told, "options": tuple(told["options"])}))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
