"""Curves as SVG inside of a page."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from reports.dashboard.curves import HEIGHT, MOST, WIDTH, svg


def places(picture: str) -> list[tuple[float, float]]:
    found = re.findall(r'<polyline class="[^"]*" points="([^"]*)"', picture)
    return [(float(x), float(y)) for points in found for x, y in (one.split(",") for one in points.split())]


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=5), st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats()), max_size=20), max_size=4
    )
)
def test_it_is_a_picture_inside_of_its_frame_whatever_the_points(lines: dict[str, list[tuple[float, float]]]) -> None:
    picture = svg({name: sorted(points) for name, points in lines.items()}, 'a <b> & "c"')
    finite = [point for points in lines.values() for point in points if all(map(math.isfinite, point))]
    if not finite:
        assert picture == ""
        return
    assert ElementTree.fromstring(picture).get("aria-label") == 'a <b> & "c"'
    assert "nan" not in picture
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places(picture))


def test_a_rising_line_rises_and_a_long_one_is_thinned_to_its_end() -> None:
    drawn = places(svg({"a": [(n, n) for n in range(10 * MOST)]}, "a"))
    assert MOST <= len(drawn) <= MOST + 2
    assert drawn == sorted(drawn, key=lambda place: (place[0], -place[1]))
    assert drawn[-1][0] == max(x for x, _ in drawn)
    assert drawn[-1][1] == min(y for _, y in drawn)


def test_the_spread_is_a_bar_at_each_place_that_has_one() -> None:
    picture = svg({"a": [(0, 0), (1, 5), (2, 10)]}, "a", {1.0: 2.0, 2.0: float("nan")})
    assert picture.count(" bar") == 1


def test_there_is_nothing_that_a_strict_policy_forbids() -> None:
    picture = svg({"a": [(0, 0), (1, 5)]}, "a")
    assert not re.search(r"style=|<script|<style|on\w+=|href", picture)
