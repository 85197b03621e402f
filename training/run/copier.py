"""The process that makes one copy of a run: `python -m training.run.copier JOB`, started by the tracker.

It reads the files of the run while they are written, and nothing but the job and the end of the run is told to it. It
answers with one line of JSON: `{"where": ...}` or `{"error": ...}`. What is done with the rows is up to the tracker's
library, in `training/run/<library>_process.py`, each with an `open_copy(job) -> Copy`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.run.files import read_json
from training.run.tracker import Job, Target, one_line

POLL_INTERVAL_S = 0.5
BINS = 64
"""Of a histogram."""
HISTOGRAMS = {".weights.": "weights", ".exp_avg.": "gradients"}
"""What of a checkpoint is shown, by a part of its name: Adam's first moment is the running mean of the gradient."""

Row = dict[str, float]
Arrays = Mapping[str, NDArray[Any]]


class Copy(Protocol):
    """A copy of a run that is being made."""

    def log(self, index: int, row: Row) -> None:
        """Takes every row of the run in its order, from the first one on, with `timing/...` for wall-clock values."""

    def log_histograms(self, counters: Mapping[str, int], arrays: Arrays) -> None:
        """Takes what a checkpoint holds, by name; its values are finite."""

    def finish(self, result: Mapping[str, Any]) -> str:
        """Completes the copy of a run with this result, {} for one that was killed; returns where it is."""


def main() -> None:
    """Makes the copy that the job in the first argument asks for."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a scheduler signals the whole job; the training process decides when
    answer = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # wandb's service prints there, and would hold the pipe open
    vars(sys)["modules"]["torch"] = (
        None  # tensorboardX loads it where it is there: seconds, for what nothing here needs
    )
    told = json.loads(sys.argv[1])
    target = Target(**{**told["target"], "also": tuple(told["target"]["also"])})
    job = Job(**{**told, "target": target})
    try:
        reply = {"where": _copy(job, _End(job.seconds_left))}
    except Exception as error:
        reply = {"error": one_line(error)}
    with answer:
        json.dump(reply, answer)


class _End:
    """The end of the run as the copier sees it: it is told, or the death of the run closes the pipe."""

    def __init__(self, seconds_left: float | None) -> None:
        self.told = False
        self.came = threading.Event()
        threading.Thread(target=self._await, args=(seconds_left,), daemon=True).start()

    def _await(self, seconds_left: float | None) -> None:
        self.told = bool(sys.stdin.buffer.read())
        self.came.set()
        if seconds_left is not None:
            time.sleep(seconds_left)
            os._exit(1)  # the library hangs, and after a killed run nobody else would end this process


def _copy(job: Job, end: _End) -> str:
    """Copies rows until the run has ended; returns where the copy is."""
    folder = Path(job.folder)
    rows, saved = _Rows(folder), _Checkpoints(folder / "checkpoints")
    copy: Copy = import_module(f"training.run.{job.target.library}_process").open_copy(job)
    ended = False
    while not ended:
        ended = end.came.wait(POLL_INTERVAL_S)
        for index, row in rows.new():
            copy.log(index, row)
        if "histograms" in job.target.also:
            for counters, arrays in saved.new():
                copy.log_histograms(counters, arrays)
    return copy.finish(read_json(folder / "result.json") if end.told else {})


class _Rows:
    """The rows of a run folder, read while they are written: metrics, and `timing/...` for the wall-clock values."""

    def __init__(self, folder: Path) -> None:
        self._metrics = (folder / "metrics.jsonl").open("rb")
        self._timing = (folder / "timing.jsonl").open("rb")
        self._count = 0

    def new(self) -> Iterator[tuple[int, Row]]:
        """The whole rows that have been added, each with its index from the start of the run."""
        while (row := _next_row(self._metrics)) is not None:
            timing = _next_row(self._timing) or {}  # written before its row of metrics
            yield self._count, row | {f"timing/{name}": value for name, value in timing.items() if name not in row}
            self._count += 1


def _next_row(file: IO[bytes]) -> Row | None:
    start = file.tell()
    line = file.readline()
    if not line.endswith(b"\n"):  # still being written
        file.seek(start)
        return None
    return {name: float(value) if isinstance(value, str) else value for name, value in json.loads(line).items()}


class _Checkpoints:
    """The weights and gradients in the checkpoints of a run: seen from here, they cost the training nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[str] = set()

    def new(self) -> Iterator[tuple[dict[str, int], Arrays]]:
        """The counters and the arrays of the checkpoints that have come, oldest first."""
        there = [path for path in self._folder.glob("*/manifest.json") if path.parent.name.isdecimal()]
        for manifest in sorted(path for path in there if path.parent.name not in self._seen):
            self._seen.add(manifest.parent.name)
            with contextlib.suppress(OSError):  # the run has removed it meanwhile
                yield read_json(manifest)["counters"], _arrays(manifest.parent)


def _arrays(checkpoint: Path) -> Arrays:
    """The finite values of every weight and every gradient, as NumPy reads them without torch."""
    from safetensors import safe_open

    found: dict[str, NDArray[Any]] = {}
    for file in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(file, framework="numpy") as tensors:
            for key in tensors.keys():  # noqa: SIM118 - it is no dict
                name = key.partition(":")[2]
                kind = next((kind for part, kind in HISTOGRAMS.items() if part in f"{name}."), None)
                if kind is None or tensors.get_slice(key).get_dtype() not in ("F16", "F32", "F64"):
                    continue
                values = tensors.get_tensor(key)
                if (finite := values[np.isfinite(values)]).size:
                    found[f"{kind}/{name.removesuffix('.exp_avg')}"] = finite
    return found


if __name__ == "__main__":
    main()
