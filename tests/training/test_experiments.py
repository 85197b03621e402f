"""Scripts are found by a constant that they give a value, and never imported for that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from training.errors import UserError
from training.experiments import constant_of, find_experiments, find_scripts, first_line, load_experiment, read_run
from training.run.run import Run

SCRIPT = '''"""Falls from a tree.

It takes a while.
"""
from dataclasses import dataclass
CLAIMS: tuple[str, ...] = ()
TAKES = "NAME"

@dataclass(frozen=True)
class Config:
    seed: int = 1
    height: float = 2.0
'''


@pytest.fixture
def orchard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with an experiment in a folder, and what is none."""
    package = tmp_path / "orchard"
    (package / "trees").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "trees" / "__init__.py").write_text("")
    (package / "trees" / "apple.py").write_text(SCRIPT)
    (package / "ladder.py").write_text("def climb():\n    CLAIMS = ()\nraise ImportError\n")
    monkeypatch.syspath_prepend(tmp_path)
    return package


def test_scripts_are_found_in_folders_and_read_without_being_imported(orchard: Path) -> None:
    assert find_experiments("orchard") == {"apple": orchard / "trees" / "apple.py"}
    assert find_scripts("orchard", "TASTE") == {}
    assert first_line(orchard / "trees" / "apple.py") == "Falls from a tree."
    assert first_line(orchard / "ladder.py") == ""
    assert constant_of(orchard / "trees" / "apple.py", "TAKES") == "NAME"


def test_two_scripts_of_one_name_are_refused(orchard: Path) -> None:
    (orchard / "apple.py").write_text(SCRIPT)
    with pytest.raises(UserError, match="two scripts are called apple"):
        find_experiments("orchard")


def test_an_unknown_name_is_answered_with_the_nearest(orchard: Path) -> None:
    with pytest.raises(UserError, match="unknown experiment aple: did you mean apple"):
        load_experiment("aple", "orchard")
    assert load_experiment("apple", "orchard").__name__ == "orchard.trees.apple"


@dataclass(frozen=True)
class Saved:
    seed: int = 1
    height: float = 2.0


def test_a_run_is_read_with_the_config_that_its_experiment_declares(orchard: Path, tmp_path: Path) -> None:
    with Run.create("apple", replace(Saved(), height=5.0), folder=tmp_path / "run", tracker="none"):
        settings, experiment, config = read_run(tmp_path / "run", "orchard")
    assert settings["experiment"] == "apple"
    assert type(config) is experiment.Config
    assert config.height == 5.0
    with pytest.raises(UserError, match="is not a run"):
        read_run(tmp_path, "orchard")


@pytest.mark.parametrize("package", ["nowhere", "json.decoder"])
def test_what_is_no_package_of_experiments_is_said(package: str) -> None:
    with pytest.raises(UserError, match=f"package = '{package}': it takes the name of a folder of experiments"):
        load_experiment("ppo_cartpole", package)
