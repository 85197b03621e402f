"""A workplace for the tests of the commands: an empty folder, and the package of experiments that count."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.counting import EXPERIMENTS, PACKAGE


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    (folder / PACKAGE).mkdir()
    for name, text in EXPERIMENTS.items():
        (folder / PACKAGE / f"{name}.py").write_text(text)
    return folder


@pytest.fixture
def workplace(package_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder, from which the package and the platform can be imported, also by subprocesses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(package_folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(package_folder / "caches"))
    monkeypatch.setenv("PYTHONPATH", f"{package_folder}{os.pathsep}{ROOT}")
