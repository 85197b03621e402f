"""A command that does not outlive the process that started it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import wait_for
from tests.support.searched import PACKAGE, package_in, result_of

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with package_in(tmp_path, monkeypatch) as folder:
        yield folder


def test_a_child_ends_with_its_parent(package: Path) -> None:
    asked = ["train", "hill", "--env-steps=100000", "--pause-s=0.05", "--tracker=none", "--run-dir=run"]
    parent = (
        "import subprocess, time; from training.cluster import child_process\n"
        f"subprocess.Popen(child_process.command({PACKAGE!r}, *{asked})); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stderr=subprocess.DEVNULL)
    wait_for(Path("run/metrics.jsonl").exists)
    process.kill()
    process.wait()
    wait_for(Path("run/result.json").exists)
    assert result_of(Path("run"))["status"] == "interrupted"
