"""What a run shows: kept in its folder, and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.errors import UserError
from training.pictures import Line, Panel, read_pictures, write_pictures
from training.recipe import MeasureConfig
from training.run.run import Run


def test_panels_are_read_as_they_were_written(tmp_path: Path) -> None:
    panels = [
        Panel("curve", "years", "risk", [Line("a", np.array([0.0, 1 / 3]), np.float32([1, 2]), "points")]),
        Panel("picture", image=np.eye(2), heat=True),
    ]
    with Run.create("made_up", MeasureConfig(), folder=tmp_path / "run", tracker="none") as run:
        write_pictures(run, panels)
        write_pictures(run, panels[:1])  # of the best checkpoint
    curve, picture = read_pictures(run.folder)
    assert (curve.title, curve.x, curve.y, curve.lines) == (
        "curve", "years", "risk", [Line("a", [0.0, 0.333333], [1.0, 2.0], "points")],
    )  # fmt: skip
    assert (picture.image, picture.heat) == ([[1.0, 0.0], [0.0, 1.0]], True)


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="y = '1 numbers': it takes 2, as many as x"):
        Line("a", [0, 1], [1])
    with pytest.raises(UserError, match=r"has no pictures\.json: it takes a finished run"):
        read_pictures(tmp_path)
