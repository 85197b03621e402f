"""Event files of TensorBoard (extra `tensorboard`): their scalars, and the hyperparameters that CleanRL writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from reports.comparison.records import Curve
from training.errors import UserError
from training.extras import extra

FIRST_EVENT = b"brain.Event:"
HYPERPARAMETERS = "hyperparameters/text_summary"
ROW = re.compile(r"^\|([^|]+)\|(.*)\|\s*$", re.MULTILINE)


def is_event_file(head: bytes) -> bool:
    """Whether a file that begins with these bytes is one: its first event names the format."""
    return FIRST_EVENT in head[:64]


def read(file: Path) -> tuple[dict[str, Curve], dict[str, str]]:
    """The scalars of a file by their tags, and its hyperparameters; of two values for one step the last one counts.

    Raises UserError when the extra is missing.
    """
    with extra("tensorboard"):
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.util import tensor_util
    points: dict[str, dict[int, tuple[float, float]]] = {}
    told: dict[str, str] = {}
    began = None
    for event in EventFileLoader(str(file)).Load():
        began = event.wall_time if began is None else began
        for value in event.summary.value:
            content: Any = tensor_util.make_ndarray(value.tensor) if value.HasField("tensor") else None
            if content is None or content.dtype.kind not in "fiuOS" or content.size != 1:
                continue
            if content.dtype.kind in "OS":
                if value.tag == HYPERPARAMETERS:
                    told = dict(ROW.findall(content.item().decode("utf-8", "replace")))
                continue
            points.setdefault(value.tag, {})[event.step] = (event.wall_time - began, float(content.item()))
    if not points:
        raise UserError(f"{file} holds no scalars")
    curves = {}
    for tag, by_step in points.items():
        rows = [(step, *by_step[step]) for step in sorted(by_step) if np.isfinite(by_step[step][1])]
        if rows:
            curves[tag] = Curve(*np.array(rows, np.float64).T)
    return curves, {name.strip(): value.strip() for name, value in told.items() if name not in ("param", "-")}
