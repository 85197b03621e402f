"""Pictures: a panel for each environment, a line and a band for each group, the same bytes for the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.comparison.drawing import DARK_COLOURS, LIGHT_COLOURS, draw_curves, draw_profiles
from reports.plots import DARK
from tests.support.compared import SCORES, comparison
from training.errors import UserError


def test_curves_have_a_panel_for_each_environment_and_are_the_same_bytes_again(tmp_path: Path) -> None:
    found = comparison({"CartPole-v1": SCORES, "Acrobot-v1": SCORES})
    draw_curves(found, tmp_path / "one.svg")
    draw_curves(found, tmp_path / "two.svg")
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    for words in ("CartPole-v1", "Acrobot-v1", "one", "two"):
        assert f"<!-- {words} -->" in drawn
    assert all(colour in drawn for colour in LIGHT_COLOURS[:2])


def test_a_name_is_no_formula(tmp_path: Path) -> None:
    draw_curves(comparison({"CartPole-v1": {"a$b^{$": SCORES["one"]}}), tmp_path / "one.svg")
    assert "<!-- a$b^{$ -->" in (tmp_path / "one.svg").read_text()


def test_a_dark_picture_has_a_dark_ground_and_its_own_colours(tmp_path: Path) -> None:
    draw_profiles(comparison({"CartPole-v1": SCORES}), tmp_path / "dark.svg", dark=True)
    drawn = (tmp_path / "dark.svg").read_text()
    assert all(colour in drawn for colour in (*DARK, *DARK_COLOURS[:2]))
    assert not any(colour in drawn for colour in LIGHT_COLOURS)


def test_the_wall_clock_may_be_the_axis_and_png_the_format(tmp_path: Path) -> None:
    draw_curves(comparison({"CartPole-v1": SCORES}), tmp_path / "clock.png", "seconds")
    assert (tmp_path / "clock.png").read_bytes().startswith(b"\x89PNG")


def test_profiles_show_all_environments_too(tmp_path: Path) -> None:
    draw_profiles(comparison({"CartPole-v1": SCORES, "Acrobot-v1": SCORES}), tmp_path / "profiles.svg")
    assert "all environments, normalized" in (tmp_path / "profiles.svg").read_text()


def test_without_a_curve_there_is_no_picture(tmp_path: Path) -> None:
    found = comparison({"CartPole-v1": SCORES})
    for summary in found.tasks["CartPole-v1"].groups.values():
        summary.curves["seconds"] = None
    with pytest.raises(UserError, match="no group has a curve"):
        draw_curves(found, tmp_path / "none.svg", "seconds")
    assert not (tmp_path / "none.svg").exists()
