"""The pages of applications: a table and a picture from runs, and nothing where these do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.applications import main, write
from tests.support import ROOT
from training.core import Counters
from training.errors import UserError
from training.experiments import find_experiments
from training.pictures import Line, Panel, write_pictures
from training.recipe import MeasureConfig
from training.run.run import Run

PANELS = [
    Panel("lines", "x", "y", [Line("one", [0, 1], [1, 2]), Line("level", [0, 1], [1, 1], "dashed")]),
    Panel("bars", "x", "y", [Line("a", [0, 1], [1, 2], "bars"), Line("b", [0, 1], [2, 1], "bars")]),
    Panel("points", "x", "y", [Line("a", [0, 1], [1, 2], "points")]),
    Panel("heat", image=[[0.0, 1.0], [1.0, 0.5]], heat=True),
]


def run_of(folder: Path, seed: int, name: str = "made_up") -> Path:
    with Run.create(name, MeasureConfig(seed=seed), folder=folder / f"{name}-{seed}", tracker="none") as run:
        write_pictures(run, PANELS)
        run.finish(Counters(), metrics={"test/error": seed / 7, "validation/error": 1.0})
    return run.folder


def test_the_page_gets_the_table_and_the_picture(tmp_path: Path) -> None:
    runs = [run_of(tmp_path, seed) for seed in (1, 2)]
    page = tmp_path / "docs" / "applications" / "made_up.md"
    page.parent.mkdir(parents=True)
    page.write_text("before\n<!-- runs:made_up -->\nold\n<!-- /runs -->\nafter\n")
    assert write(runs, tmp_path) == [page, page.with_suffix(".svg")]
    text = page.read_text()
    assert "|  | seed 1 | seed 2 |\n" in text
    assert "| `test/error` | 0.1429 | 0.2857 |\n" in text
    assert "validation/error" not in text
    assert "by model" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    drawn = page.with_suffix(".svg").read_bytes()
    write(runs, tmp_path)
    assert page.with_suffix(".svg").read_bytes() == drawn


def test_what_does_not_fit_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = run_of(tmp_path, 1), run_of(tmp_path, 1, "another")
    with pytest.raises(UserError, match="runs of another, made_up: it takes those of one experiment"):
        write([one, other], tmp_path)
    with pytest.raises(UserError, match=r"made_up\.md does not say where: it takes <!-- runs:made_up -->"):
        write([one], tmp_path)
    assert main([]) == 2
    assert capsys.readouterr().err == "error: runs: it takes the folders of finished runs of one experiment\n"


def test_every_application_has_its_page_with_figures_and_a_picture() -> None:
    folder = ROOT / "docs" / "applications"
    applications = [
        name for name, file in find_experiments("experiments").items() if file.parent.name == "applications"
    ]
    assert applications
    for name in applications:
        text = (folder / f"{name}.md").read_text()
        for asked in (
            "What is decided",
            "When not to use it",
            f"<!-- runs:{name} -->\n|",
            "| joules",
        ):
            assert asked in text, f"{name}.md lacks {asked!r}"
        pictures = [file.name for file in folder.glob(f"{name}.*") if file.suffix in (".svg", ".png")]
        assert pictures
        assert all(f"]({picture})" in text for picture in pictures)
        assert f"({name}.md)" in (folder / "README.md").read_text()
