"""Pictures as half blocks: every pixel has its place and its colour, whatever the terminal is."""

from __future__ import annotations

import re

import numpy as np

from envs.terminal import UPPER_HALF, picture_lines, text_lines, told_value


def test_a_small_picture_keeps_its_pixels_two_to_a_cell() -> None:
    picture = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 8, 7]]], np.uint8)
    (line,) = picture_lines(picture, 80, 24)
    assert line == (f"\x1b[38;2;255;0;0;48;2;0;0;255m{UPPER_HALF}\x1b[38;2;0;255;0;48;2;9;8;7m{UPPER_HALF}\x1b[0m")
    (line,) = picture_lines(picture, 80, 24, full_colour=False)
    assert line == f"\x1b[38;5;196;48;5;21m{UPPER_HALF}\x1b[38;5;46;48;5;16m{UPPER_HALF}\x1b[0m"


def test_a_large_picture_fits_in_its_own_proportions_and_colours_are_said_where_they_change() -> None:
    picture = np.full((400, 600, 3), 250, np.uint8)
    picture[200:] = 10
    lines = picture_lines(picture, 60, 100)
    assert (len(lines), {line.count(UPPER_HALF) for line in lines}) == (20, {60})
    assert [line.count("\x1b") for line in lines] == [2] * 20
    assert all("250" in line for line in lines[:10])
    low = picture_lines(picture, 200, 10)
    assert (len(low), low[0].count(UPPER_HALF)) == (10, 30)


def test_thin_lines_stay_as_means() -> None:
    picture = np.zeros((40, 40), np.uint8)
    picture[:, 20] = 200
    (first, *_) = picture_lines(picture, 10, 5)
    assert re.findall(r"38;2;(\d+)", first) == ["0", "50", "0"]


def test_text_is_cut_and_values_are_one_line() -> None:
    assert text_lines("abcdef\nx\ny\n", 3, 2) == ["abc", "x"]
    assert told_value({"a": np.float32(1.25), "b": (np.arange(3), "x")}) == "{a: 1.25, b: ([0 1 2], x)}"
    assert told_value(np.zeros((9, 9), np.uint8)) == "uint8 [9, 9], 0 to 0"
    assert told_value(np.array([[0.12345678, 2.0]])) == "[[0.1235 2. ]]"
