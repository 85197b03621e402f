"""Experiments, found by their names without being imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.errors import UserError
from training.experiments import find_experiments, first_line, folder_of, load_experiment

SCRIPT = '''"""A hill to climb.

More of it.
"""
CLAIMS = ()
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "found_by_name"
    for name, text in {
        "__init__": "",
        "hill": SCRIPT,
        "sub/__init__": "",
        "sub/valley": SCRIPT,
        "helper": "x = 1",
    }.items():
        file = folder / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_scripts_with_claims_are_experiments_in_any_folder(package: Path) -> None:
    assert folder_of(package.name) == package
    assert find_experiments(package.name) == {"hill": package / "hill.py", "valley": package / "sub/valley.py"}
    assert first_line(package / "hill.py") == "A hill to climb."
    assert first_line(package / "helper.py") == ""
    assert load_experiment("valley", package.name).__name__ == "found_by_name.sub.valley"


def test_an_unknown_name_and_one_that_is_there_twice_are_told(package: Path) -> None:
    with pytest.raises(UserError, match="unknown experiment hil: did you mean hill"):
        load_experiment("hil", package.name)
    (package / "sub/hill.py").write_text(SCRIPT)
    with pytest.raises(UserError, match="two experiments are called hill: "):
        find_experiments(package.name)
