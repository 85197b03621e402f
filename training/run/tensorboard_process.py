"""The copy of a run as TensorBoard's event files in `<run>/tensorboard/`, made in a copier's process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from training.run.copier import BINS, Arrays, Row
from training.run.files import read_json
from training.run.tracker import Job


class TensorBoardCopy:
    """One event file with every row of the run at its env steps, or its samples, or its updates.

    Each segment of a run writes all of it anew and then removes the file of the segment before: no step is there twice,
    whatever was lost when the run was killed. A TensorBoard that is watching is told to forget what it has read.
    """

    def __init__(self, job: Job) -> None:
        if os.getppid() != job.training_process:  # it was killed, and whoever resumes the run may be copying it by now
            raise RuntimeError("the run was gone before its copy began")
        run = Path(job.folder)
        self._folder = run / "tensorboard"
        self._folder.mkdir(exist_ok=True)
        self._settings = read_json(run / "config.json")
        self._axis: str | None = None
        self._begin = (run / "config.json").stat().st_mtime
        self._wall_time, self._step = self._begin, 0
        earlier = list(self._folder.glob("events.*"))
        # tensorboardX's writer below its threads: what the disk refuses is an error here, and not a queue that fills.
        self._events = EventsWriter(str(self._folder / "events"), f".{os.getpid()}")
        self._write(session_log=SessionLog(status=SessionLog.START))
        text = json.dumps({**self._settings, "parent": job.parent}, indent=2)
        self._write(summary=summary.text("config", f"```json\n{text}\n```"))
        self._events.flush()
        for file in earlier:
            file.unlink()

    def log(self, index: int, row: Row) -> None:
        if self._axis is None:
            self._axis = next((unit for unit in ("env_steps", "samples", "updates") if row[unit]), "updates")
        self._step = int(row[self._axis])
        self._wall_time = self._begin + row.get("timing/wall_time_s", 0.0)
        for name, value in row.items():
            self._write(summary=summary.scalar(name, value))
        self._events.flush()

    def log_histograms(self, counters: Mapping[str, int], arrays: Arrays) -> None:
        for name, values in arrays.items():
            self._write(counters[self._axis or "updates"], summary=summary.histogram(name, values, BINS))
        self._events.flush()

    def finish(self, result: Mapping[str, Any]) -> str:
        final = {f"final/{name}": float(value) for name, value in result.get("metrics", {}).items()}
        for name, value in final.items():
            self._write(summary=summary.scalar(name, value))
        for part in summary.hparams(_flat(self._settings["config"]), final):
            self._write(summary=part)
        self._events.close()
        return str(self._folder)

    def _write(self, step: int | None = None, **what: Any) -> None:
        step = self._step if step is None else step
        self._events.write_event(Event(wall_time=self._wall_time, step=step, **what))


def open_copy(job: Job) -> TensorBoardCopy:
    """The copy of the job for TensorBoard."""
    return TensorBoardCopy(job)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a config by dotted key, as numbers, bools or text."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, bool | int | float | str) else json.dumps(value)
    return flat
