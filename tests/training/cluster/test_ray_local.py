"""Runs on a cluster of two nodes, and what is left of Ray when a run ends in whatever way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from training.cluster import ray_local
from training.cluster.ray_session import connected

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("ray")]

PATIENCE_S = 600.0


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes with one CPU each, in processes of their own on this machine."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.second_node = cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def start(folder: Path, where: str, **variables: str) -> subprocess.Popen[str]:
    asked = f"train ppo_cartpole --tracker none --checkpoint.every.count 5000 --run-dir {folder} {where}"
    return experiments(asked, **variables)


def experiments(asked: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "experiments", *asked.split()]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=pipe, text=True, env=os.environ | variables)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process is None or process.poll() is None, "the run has ended"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def workers_by_row(folder: Path) -> list[float]:
    """How many workers delivered, in each row of the log."""
    file = folder / "metrics.jsonl"
    return [json.loads(line)["rollout/workers"] for line in file.read_text().splitlines()] if file.exists() else []


def test_a_node_may_leave_and_another_join(cluster: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = start(folder, f"--workers 2 --ray-address {cluster.address}")
    wait_until(lambda: len(workers_by_row(folder)) > 0, run)
    cluster.remove_node(cluster.second_node, allow_graceful=False)
    wait_until(lambda: workers_by_row(folder)[-1:] == [1.0], run)  # the run goes on
    cluster.add_node(num_cpus=1)
    wait_until(lambda: workers_by_row(folder)[-1:] == [2.0], run)
    _, told = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0
    assert "going on without it while another starts" in told
    result = json.loads((folder / "result.json").read_text())
    assert result["exact"] is False
    assert len(result["inexact"]) == 1
    assert "was lost and replaced at update" in result["inexact"][0]
    assert result["claims"][0]["holds"]


def test_learners_go_on_with_fewer_when_a_node_leaves(cluster: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = start(folder, f"--learners 2 --threads 1 --ray-address {cluster.address}")
    wait_until(lambda: any(folder.glob("checkpoints/*/manifest.json")), run)
    cluster.remove_node(cluster.second_node, allow_graceful=False)
    _, told = run.communicate(timeout=600)
    assert run.returncode == 0, told
    assert "a learner was lost; going on with 1 of 2 learners" in told
    result = json.loads((folder / "result.json").read_text())
    assert result["exact"] is False
    assert result["inexact"] == ["gradients were added up over 1 of 2 learners, in another order"]
    assert result["claims"][0]["holds"]


def test_learners_without_room_say_so_and_end_at_a_signal(cluster: Any, tmp_path: Path) -> None:
    import ray

    @ray.remote(num_cpus=1)
    class Taken:
        def is_there(self) -> bool:
            return True

    with connected(cluster.address, cpus=1):
        taken = [Taken.remote() for _ in range(2)]
        ray.get([one.is_there.remote() for one in taken], timeout=PATIENCE_S)
        run = start(tmp_path / "run", f"--learners 2 --threads 1 --ray-address {cluster.address}")
        assert run.stderr is not None
        try:
            assert any("no learner has begun yet: is there room" in line for line in run.stderr)
            run.send_signal(signal.SIGTERM)
            _, told = run.communicate(timeout=PATIENCE_S)
        finally:
            run.kill()
    assert run.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in told
    assert not (tmp_path / "run").exists()


def test_when_the_head_goes_the_run_goes_on_elsewhere(cluster: Any, tmp_path: Path) -> None:
    """All that counts is in the run's folder: what follows is bit for bit what would have come."""
    folder, whole = tmp_path / "run", tmp_path / "whole"
    run = start(folder, "--workers 2", RAY_ADDRESS=cluster.address)
    wait_until(lambda: any(folder.glob("checkpoints/*/manifest.json")), run)
    cluster.remove_node(cluster.head_node, allow_graceful=False)
    run.communicate(timeout=PATIENCE_S)
    assert run.returncode not in (0, None)
    assert experiments(f"resume {folder}").wait(PATIENCE_S) == 0
    assert start(whole, "--groups 2").wait(PATIENCE_S) == 0
    results = [json.loads((run / "result.json").read_text()) for run in (folder, whole)]
    for key in ("status", "exact", "counters", "metrics", "best", "claims"):
        assert results[0][key] == results[1][key], key
    last = results[0]["checkpoint"]
    for file in ("agent.safetensors", "agent.json"):
        assert (folder / last / file).read_bytes() == (whole / last / file).read_bytes()


def test_workers_of_a_cluster_multiply_on_as_many_threads_as_the_run(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")  # after the nodes were started
    with connected(cluster.address, cpus=1):
        threads = ray.remote(lambda: os.environ.get("OPENBLAS_NUM_THREADS"))
        assert ray.get(threads.remote(), timeout=PATIENCE_S) == "3"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_of_ray_stays_behind(number: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    mark = f"TEST_RUN={tmp_path}"
    run = start(folder, "--workers 2", TEST_RUN=str(tmp_path))
    wait_until(lambda: len(workers_by_row(folder)) > 0, run)
    assert len(processes_with(mark)) > 4  # the run, its workers and those of Ray itself
    run.send_signal(number)
    run.wait(PATIENCE_S)
    assert run.returncode == (-number if number == signal.SIGKILL else 128 + number)
    wait_until(lambda: not processes_with(mark))


def processes_with(mark: str) -> list[int]:
    """The running processes whose environment has the variable."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has ended
            continue
    return found


def test_a_cluster_that_is_not_there_ends_quietly(tmp_path: Path) -> None:
    assert ray_local.stop(state=tmp_path / "cluster.json") == 0
    (own,) = ray_local.free_ports(1)
    assert own > 0
    # A process that got the number of one that was started is not ended.
    state = tmp_path / "cluster.json"
    state.write_text(json.dumps({"nodes": [{"pid": os.getpid(), "began": "long ago", "log": ""}]}))
    assert ray_local.stop(state=state) == 0
    assert not state.exists()
