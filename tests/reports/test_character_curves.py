"""Curves in characters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.character_curves import Line, draw


def shown(lines: list[Line], width: int = 20, height: int = 4, **options: float) -> list[str]:
    return [text.plain for text in draw(lines, width, height, **options)]


def test_a_rising_line_goes_from_the_left_at_the_bottom_to_the_right_at_the_top() -> None:
    rows = shown([Line([(0, 0), (1, 10)], "red")])
    assert [row[:2] for row in rows] == ["10", "  ", "  ", " 0"]
    first = [min(column for column, one in enumerate(row[3:]) if one != " ") for row in rows]
    assert first == sorted(first, reverse=True)
    assert rows[0][-1] != " "
    assert rows[-1][3] != " "


def test_places_of_points_are_on_a_common_scale_and_the_right_edge_may_be_further() -> None:
    rows = shown([Line([(0, 0), (10, 4)], "red"), Line([(5, 4)], "blue")], right=20)
    drawn = [column for row in rows for column, one in enumerate(row[2:]) if one != " "]
    assert max(drawn) in (8, 9)  # of 18 columns: half


def test_points_that_are_not_joined_are_dots() -> None:
    rows = shown([Line([(0, 0), (1, 1)], "red", joined=False)])
    assert sum(one != " " for row in rows for one in row[2:]) == 2


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12)), min_size=1, max_size=30),
    st.integers(1, 120),
    st.integers(1, 30),
)
def test_it_has_the_size_that_was_asked_for_whatever_the_points(
    points: list[tuple[float, float]], width: int, height: int
) -> None:
    texts = draw([Line(sorted(points), "red")], width, height)
    assert len(texts) == height
    assert len({len(text.plain) for text in texts}) == 1
    assert all(len(text.plain) <= max(width, 12) for text in texts)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e300])
def test_one_point_and_equal_values_are_drawn_in_the_middle(value: float) -> None:
    rows = shown([Line([(1, value)], "red")], height=5)
    assert [any(ord(one) > 0x2800 for one in row) for row in rows] == [False, False, True, False, False]
    assert math.isfinite(value)
