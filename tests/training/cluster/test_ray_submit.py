"""What is submitted comes back finished (full: a real cluster of two nodes), and what cannot be is told in one line."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import ROOT, wait_for
from training.cluster import ray_local, ray_submit
from training.cluster.ray_job import Job
from training.errors import UserError

pytestmark = pytest.mark.xdist_group("ray")


class Cluster:
    """A cluster that takes one job, whose log grows; `statuses` are what it answers, one after another."""

    def __init__(self, statuses: list[str]) -> None:
        self.statuses, self.submitted = statuses, []

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: Any) -> str:
        self.submitted.append(entrypoint)
        return submission_id

    def get_job_status(self, job_id: str) -> Any:
        return SimpleNamespace(value=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])

    async def tail_job_logs(self, job_id: str) -> Any:
        for text in ("step 1\n", "step 2\n"):
            yield text

    def get_job_info(self, job_id: str) -> Any:
        return SimpleNamespace(driver_exit_code=3)


@pytest.mark.parametrize(("statuses", "code"), [(["RUNNING", "SUCCEEDED"], 0), (["FAILED"], 3)])
def test_a_job_is_followed_to_its_end_and_its_record_kept(
    statuses: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster(statuses)
    monkeypatch.setattr(ray_submit, "_client", lambda address: cluster)
    monkeypatch.setattr(ray_submit, "LOOK_EVERY_S", 0.01)
    job = Job("experiments", "ppo_cartpole", ("--seed=2",), (tmp_path / "storage").as_uri())
    how: Any = {"address": "http://127.0.0.1:8265", "any_versions": True, "again": "the same"}
    assert ray_submit.submit(job, tmp_path / "run", **how) == code
    assert capsys.readouterr().out == "step 1\nstep 2\n", "each line of the log once, however often it is read"
    (entrypoint,) = cluster.submitted
    assert shlex.split(entrypoint)[:4] == ["python", "-m", "training.cluster.ray_job", job.to_json()]
    assert json.loads((tmp_path / "run.job.json").read_text())["options"] == ["--seed=2"]
    other = Job("experiments", "ppo_cartpole", (), job.storage)
    with pytest.raises(UserError, match="is of a job with other options"):
        ray_submit.submit(other, tmp_path / "run", **how)


def python(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own, as a user's: Ray asks for its token only where it has not been imported without one."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Two nodes on this machine, as `make cluster` starts them."""
    cwd = tmp_path_factory.mktemp("cluster")
    up = python("-m", "training.cluster.ray_local", "up", "--nodes", "2", cwd=cwd)
    assert up.returncode == 0, up.stderr
    started = json.loads((cwd / ray_local.STATE).read_text())
    yield started
    assert python("-m", "training.cluster.ray_local", "down", cwd=cwd).stdout == "ended 2 nodes\n"
    for node in started["nodes"]:
        with pytest.raises(ProcessLookupError):
            os.killpg(node["pid"], 0)


SHORT = "--env-steps 4096 --evaluation.final-episodes 10"


@pytest.mark.full
def test_a_submitted_run_comes_back_finished_and_other_versions_are_refused(
    cluster: dict[str, Any], tmp_path: Path
) -> None:
    experiments = ("-m", "experiments")
    asked = shlex.split(f"submit ppo_cartpole --address {cluster['dashboard']} {SHORT} --run-dir here")
    submitted = python(*experiments, *asked, cwd=tmp_path)
    assert submitted.returncode == 0, submitted.stderr
    assert "evaluation/return_mean" in submitted.stdout  # the job's log
    result = json.loads((tmp_path / "here" / "result.json").read_text())
    assert (result["status"], result["exact"], result["counters"]["env_steps"]) == ("completed", True, 4096)
    direct = shlex.split(f"train ppo_cartpole {SHORT} --tracker none --run-dir direct")
    assert python(*experiments, *direct, cwd=tmp_path).returncode == 0
    metrics = [(tmp_path / run / "metrics.jsonl").read_bytes() for run in ("here", "direct")]
    assert metrics[0] == metrics[1]
    token = Path.home() / ".ray" / "auth_token"
    assert token.read_text().strip() not in submitted.stdout + submitted.stderr

    other_options = python(*experiments, *asked, "--seed", "2", cwd=tmp_path)
    assert (other_options.returncode, "is of a job with other options" in other_options.stderr) == (2, True)
    with_other_versions = (
        "import sys, training.cluster.ray_submit as submit; from experiments.__main__ import main; "
        "submit.versions = lambda: {'python': '2.7.18', 'packages': {}}; sys.exit(main(sys.argv[1:]))"
    )
    refused = python("-c", with_other_versions, *asked[:-1], "there", cwd=tmp_path)
    assert refused.returncode == 2
    assert "error: the cluster has other versions: python 2.7.18 here" in refused.stderr
    assert not (tmp_path / "there.job.json").exists()


@pytest.mark.full
def test_a_job_is_followed_again_after_its_watcher_is_gone(cluster: dict[str, Any], tmp_path: Path) -> None:
    asked = f"submit ppo_cartpole --address {cluster['dashboard']} --env-steps 20000 --run-dir here"
    command = [sys.executable, "-m", "experiments", *shlex.split(asked)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    watcher = subprocess.Popen(command, cwd=tmp_path, env=environment)
    wait_for((tmp_path / "here.job.json").exists)
    watcher.send_signal(signal.SIGKILL)
    watcher.wait()
    job = json.loads((tmp_path / "here.job.json").read_text())["id"]
    again = python(*command[1:], cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"job {job}; follow it again with" in again.stderr
    assert json.loads((tmp_path / "here" / "result.json").read_text())["status"] == "completed"
