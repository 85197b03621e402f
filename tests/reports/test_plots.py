"""The pictures: a panel for each experiment, a line for each benchmark, the same bytes for the same reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.plots import draw_learning_curves, draw_race, draw_rates, draw_ratios
from reports.rate_curve import RateCurve
from training import extras
from training.claims import Claim, judge


def report(name: str, *, target: float | None = 90.0, baseline: str | None = None, seeds: int = 2) -> dict[str, Any]:
    curves = [[[1000 * row + 10 * seed, 10.0 * row + seed] for row in range(1, 10)] for seed in range(seeds)]
    runs = {group: [{"curve": curve} for curve in curves] for group in (name, baseline) if group}
    claims = [judge(Claim("evaluation/return_mean", ">=", target, baseline), {1: 1.0}, {1: 0.0} if baseline else None)]
    return {"experiment": name, "claims": claims, "runs": runs}


def test_a_picture_has_a_panel_for_each_experiment_and_is_the_same_bytes_again(tmp_path: Path) -> None:
    reports = [report("counting"), report("jumping", seeds=1), report("long", seeds=5), report("fourth")]
    draw_learning_curves(reports, tmp_path / "one.svg")
    draw_learning_curves(reports, tmp_path / "two.svg")
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn.startswith("<?xml")
    assert all(drawn.count(f"<!-- {name} -->") == 1 for name in ("counting", "jumping", "long", "fourth"))
    assert (tmp_path / "two.svg").read_text() == drawn
    draw_learning_curves(reports[:2], tmp_path / "less.svg")
    assert (tmp_path / "less.svg").read_text() != drawn


def test_a_report_with_a_baseline_has_no_target_to_draw(tmp_path: Path) -> None:
    draw_learning_curves([report("wide", target=None, baseline="counting")], tmp_path / "without.svg")
    draw_learning_curves([report("wide")], tmp_path / "with.svg")
    assert "#c0392b" not in (tmp_path / "without.svg").read_text()
    assert "#c0392b" in (tmp_path / "with.svg").read_text()


def benchmark(name: str, **values: Any) -> dict[str, Any]:
    ratio = {"median": 4.1, "min": 4.0, "max": 4.2}
    return {"title": name, "peer": "slow", "ratio": ratio, "floor": 2.0, "aim": 3.0, **values}


def test_the_picture_of_the_benchmarks_has_those_that_count_and_is_the_same_bytes_again(tmp_path: Path) -> None:
    reports = [benchmark("one"), benchmark("two", floor=None, aim=None), benchmark("none", ratio=None)]
    draw_ratios(reports, tmp_path / "one.svg")
    draw_ratios(reports, tmp_path / "two.svg")
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    assert drawn.count("<!-- / slow -->") == 2


def test_the_picture_of_the_race_has_the_seconds_of_both_sides(tmp_path: Path) -> None:
    sides = {"ours": {"figure": 3.2}, "theirs": {"figure": 41.0}}
    reports = [benchmark("Acrobot: process start to -90", **sides), benchmark("none", ratio=None)]
    draw_race(reports, tmp_path / "one.svg")
    draw_race(reports, tmp_path / "two.svg")
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    assert "mathdefault" not in drawn
    for text in ("Acrobot", "3 s", "41 s"):
        assert drawn.count(f"<!-- {text} -->") == 1, text


def test_the_curve_of_a_range_test_shows_the_suggested_rate(tmp_path: Path) -> None:
    curve = RateCurve([1e-4, 1e-3, 1e-2, 1e-1], [2.0, 1.0, 0.5, 3.0])
    draw_rates(curve, tmp_path / "rates.svg")
    drawn = (tmp_path / "rates.svg").read_text()
    assert "learning rate; dashed: suggested" in drawn
    assert "<!-- 0.001 -->" in drawn
    assert "mathdefault" not in drawn, "names are no formulas, and so are numbers"
    assert "#c0392b" in drawn


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(extras.UserError, match="plots"):
        draw_learning_curves([report("counting")], tmp_path / "one.svg")
