"""What is made of the verdicts in docs/results: the table of the seeds, the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.plots import draw_learning_curves
from reports.tables import print_report
from training.claims import Claim, judge


def report(name: str, *, target: float | None = 90.0, baseline: str | None = None, seeds: int = 2) -> dict[str, Any]:
    curves = [[[1000 * row + 10 * seed, 10.0 * row + seed] for row in range(1, 10)] for seed in range(seeds)]
    runs = {group: [{"curve": curve} for curve in curves] for group in (name, baseline) if group}
    claims = [{"metric": "evaluation/return_mean", "target": target, "baseline": baseline}]
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


def test_a_metric_that_a_baseline_does_not_measure_is_a_dash_in_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    shared = {"env_steps": 10, "training_time_s": 60.0, "exact": True, "best": {}, "seed": 1}
    own, baselines = {**shared, "final": {"score": 2.0, "speed": 3.0}}, {**shared, "final": {"score": 1.0}}
    claims = [
        judge(Claim("speed", ">=", 1.0), {1: 3.0}),
        judge(Claim("score", ">=", baseline="base"), {1: 2.0}, {1: 1.0}),
    ]
    print_report({"claims": claims, "runs": {"own": [own], "base": [baselines]}})
    rows = [[cell.strip() for cell in line.split("│")] for line in capsys.readouterr().out.splitlines()]
    assert [row[1:5] for row in rows if row[1:2] in (["own"], ["base"])] == [
        ["own", "1", "3", "2"],
        ["base", "1", "-", "1"],
    ]
