"""What is shown of a model that learned from data."""

from __future__ import annotations

import base64

import numpy as np

from reports.html.learned import MOST_CLASSES, PERFECT, Bins, HeldOut, image

BINS = Bins(np.array([0.4, 0.9]), np.array([0.5, 0.8]), np.array([10, 30]))


def test_a_confusion_has_counts_and_shares_of_its_rows() -> None:
    found = HeldOut("", BINS, [], ["cat", "dog"], np.array([[9, 1], [0, 0]]))
    assert found.cells == [[(9, 90), (1, 10)], [(0, 0), (0, 0)]]
    many = np.zeros((MOST_CLASSES + 1, MOST_CLASSES + 1), np.int64)
    assert HeldOut("", BINS, [], [], many).cells == []


def test_the_calibration_is_drawn_beside_the_diagonal() -> None:
    drawn = HeldOut("", BINS, [], ["cat", "dog"], np.eye(2, dtype=np.int64)).calibration()
    lines = {trace["name"]: (trace["x"], trace["y"]) for trace in drawn.plot["data"]}
    assert lines == {"this model": ([0.4, 0.9], [0.5, 0.8]), PERFECT: ([0.0, 1.0], [0.0, 1.0])}
    assert "bins of 10, 30 samples" in drawn.about
    numbers = HeldOut("", BINS, []).calibration()
    assert numbers.plot["data"][1]["x"] == [0.4, 0.9], "of numbers the diagonal is where they are"
    assert numbers.plot["layout"]["xaxis"]["title"]["text"] == "predicted"


def test_images_are_pictures_whatever_their_channels() -> None:
    for shape in ((8, 8), (8, 8, 1), (8, 8, 3)):
        uri = image(np.zeros(shape, np.uint8))
        assert base64.b64decode(uri.partition(",")[2]).startswith(b"\x89PNG")
