"""A job keeps its run in a storage, and goes on from there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import wait_for
from tests.support.searched import PACKAGE, package_in
from training.cluster.ray_job import Job, run

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with package_in(tmp_path, monkeypatch) as folder:
        yield folder


@pytest.mark.full
def test_a_job_keeps_its_run_in_the_storage_and_goes_on_from_there(package: Path) -> None:
    place = package / "storage"
    options = ("--env-steps=60", "--pause-s=0.5", "--checkpoint.every.count=10")
    job = Job(PACKAGE, "hill", options, place.as_uri())
    code = f"import sys; from training.cluster.ray_job import Job, run; sys.exit(run({job!r}, send_every_s=0.5))"
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: len(list(place.glob("checkpoints/*/manifest.json"))) >= 2)
    process.kill()  # as a machine that is lost: nothing more is sent
    process.wait()
    assert not (place / "result.json").exists()
    assert run(job) == 0
    result = json.loads((place / "result.json").read_text())
    assert (result["status"], result["metrics"]["evaluation/height"]) == ("completed", pytest.approx(12 * 0.1 * 0.09))
    steps = [json.loads(row)["env_steps"] for row in (place / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))
    assert run(replace(job, options=(*options, "--agent.pace=2"), storage=(package / "other").as_uri())) == 2
