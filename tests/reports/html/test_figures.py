"""Figures: plotly takes them, the pictures are drawn in both themes, and what is not known is not drawn."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from reports.comparison.curves import Band
from reports.comparison.drawing import DARK_COLOURS, LIGHT_COLOURS
from reports.html.figures import data_uri, make_figure
from tests.support.reported import HOSTILE


def band(points: int, *, known: bool = True) -> Band:
    x = np.linspace(0.0, 1.0, points)
    spread = 0.1 if known else np.nan
    return Band(x, x**2, x**2 - spread, x**2 + spread, interpolated=False)


def figure(**bands: Band) -> Any:
    return make_figure(
        "loss", bands, names=["first", *bands], x_label="steps\nand how", y_label="loss", about="what is shown"
    )


def test_plotly_takes_it_and_lines_keep_their_looks() -> None:
    graphs = pytest.importorskip("plotly.graph_objects")
    drawn = figure(one=band(40), two=band(10, known=False))
    graphs.Figure(drawn.plot)  # raises where it is none
    json.dumps(drawn.plot, allow_nan=False)
    shading, one, two = drawn.plot["data"]
    assert (shading["fill"], shading["meta"], one["meta"], two["meta"]) == (
        "toself",
        *[{"series": n} for n in (1, 1, 2)],
    )
    assert len(shading["x"]) == 80
    assert (one["mode"], two["mode"]) == ("lines", "lines+markers")
    assert drawn.plot["layout"]["xaxis"]["title"]["text"] == "steps<br>and how"


def test_each_theme_has_a_picture_with_the_colours_of_its_lines() -> None:
    drawn = figure(one=band(40))
    for uri, colours in ((drawn.light, LIGHT_COLOURS), (drawn.dark, DARK_COLOURS)):
        kind, _, content = uri.partition(",")
        assert kind == "data:image/svg+xml;base64"
        picture = base64.b64decode(content).decode()
        assert colours[1] in picture
        assert colours[0] not in picture, "that of the line that is not here"


def test_its_numbers_are_told_with_what_is_known_of_them() -> None:
    rows = figure(one=band(101), two=band(3, known=False)).numbers.rows
    assert rows[-4] == ["one", "1", "1 [0.9, 1.1]"]
    assert rows[-1] == ["two", "1", "1"]


def test_a_name_is_no_markup_and_no_formula() -> None:
    drawn = make_figure(HOSTILE, {HOSTILE: band(3)}, names=[HOSTILE], x_label="x", y_label=HOSTILE, about="")
    assert "<script" not in json.dumps(drawn.plot)
    picture = base64.b64decode(drawn.light.partition(",")[2]).decode()
    assert "&lt;img" in picture


def test_a_file_is_held_by_its_address() -> None:
    assert data_uri("text/plain", b"hello") == "data:text/plain;base64,aGVsbG8="
