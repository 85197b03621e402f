"""What `verify` prints and writes, and the docs that are made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports import benchmarks, pages
from reports.results import RESULTS
from reports.tables import CHOSEN_CURVES, CURVES, IN_README, learning_curve, print_report, write_docs
from tests.support import ROOT
from training.claims import Claim, judge
from training.errors import UserError


def written(root: Path, name: str) -> None:
    """A verdict in docs/results/ below `root`."""
    curves = [[[1000 * row, 10.0 * row + seed] for row in range(1, 4)] for seed in range(2)]
    verdict = judge(Claim("score", ">=", 1.0), {1: 3.0, 2: 5.0})
    shared = {"env_steps": 10, "training_time_s": 2.0, "exact": True, "best": {}, "final": {"score": 4.0}}
    runs = {name: [{**shared, "seed": seed, "curve": curve} for seed, curve in enumerate(curves)]}
    (root / RESULTS).mkdir(parents=True, exist_ok=True)
    report = {"experiment": name, "claims": [verdict], "runs": runs, "source_hash": None, "dirty": False}
    (root / RESULTS / f"{name}.json").write_text(json.dumps(report))


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


def test_the_docs_are_written_once(tmp_path: Path) -> None:
    for name in (IN_README[0], "walking"):
        written(tmp_path, name)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results:walk* -->\nold\n<!-- /results -->\n")
    stale = tmp_path / pages.FOLDER / "gone.md"
    stale.parent.mkdir()
    stale.write_text("of a family that is no more")
    assert set(write_docs(tmp_path)) == {tmp_path / CURVES, tmp_path / CHOSEN_CURVES, readme, stale}
    assert not stale.exists()
    assert readme.read_text().startswith("before\n<!-- results:walk* -->\n| experiment |")
    assert (tmp_path / CHOSEN_CURVES).read_text().count("<!-- walking -->") == 0
    assert write_docs(tmp_path) == []


def test_a_table_without_results_names_its_file_and_the_command(tmp_path: Path) -> None:
    for kind, command in (("results", "verify"), ("benchmarks", "make bench")):
        (tmp_path / "README.md").write_text(f"<!-- {kind}:none_* -->\n<!-- /{kind} -->\n")
        with pytest.raises(UserError, match=rf"{kind}:none_\* in .*README.md matches nothing .* run `{command}` first"):
            write_docs(tmp_path)


def test_the_experiments_of_the_readme_have_results() -> None:
    assert {*IN_README} <= {report["experiment"] for report in benchmarks.read_reports(ROOT / RESULTS)}


def test_a_learning_curve_is_thinned_out_from_its_end(tmp_path: Path) -> None:
    assert learning_curve(tmp_path) == []
    rows = [{"env_steps": n, "rollout/return_mean": n / 3} for n in range(1, 151)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"env_steps": 151}]))
    curve = learning_curve(tmp_path)
    assert len(curve) == 50
    assert curve[-1] == (150, 50.0)
    assert curve[0] == (3, 1.0)
