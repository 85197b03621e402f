"""Runs as jobs: what is kept in a storage, which versions are refused, and (full) a real cluster of two nodes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main
from tests.support import ROOT
from tests.support.searched import PACKAGE, write_package
from training.cluster import ray_local, ray_versions
from training.cluster.ray_job import Job, run
from training.cluster.ray_versions import differences, versions
from training.cluster.storage import Storage
from training.errors import UserError

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_package(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_storage_holds_what_the_folder_holds_and_gives_it_back(tmp_path: Path) -> None:
    run_folder, there, back = tmp_path / "run", tmp_path / "there", tmp_path / "back"
    write(run_folder, config="{}", checkpoints__1__agent="one", checkpoints__1__manifest="1", lock="me")
    write(run_folder, checkpoints__2=".")
    (run_folder / "checkpoints" / "3.unfinished").mkdir()
    (run_folder / "checkpoints" / "3.unfinished" / "agent").write_text("half")
    storage = Storage(there.as_uri())
    storage.send(run_folder)
    sent = {"config": "{}", "checkpoints/1/agent": "one", "checkpoints/1/manifest": "1", "checkpoints/2": "."}
    assert contents(there) == sent
    (run_folder / "checkpoints" / "1" / "agent").unlink()
    write(run_folder, config="{longer}", checkpoints__4__agent="four")
    (there / "checkpoints/2").write_text("left alone: it has not changed here")
    storage.send(run_folder)
    assert contents(there) == {
        "config": "{longer}",
        "checkpoints/1/manifest": "1",
        "checkpoints/2": "left alone: it has not changed here",
        "checkpoints/4/agent": "four",
    }
    assert Storage(f"{there.as_uri()}/").fetch(back) == 4
    assert contents(back) == contents(there)
    assert Storage((tmp_path / "nothing").as_uri()).fetch(tmp_path / "empty") == 0


def test_a_manifest_comes_after_the_files_that_it_is_about_and_both_after_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["metrics.jsonl", "checkpoints/9/agent.safetensors", "checkpoints/9/z.json", "checkpoints/9/manifest.json"]
    for name in names:
        write(tmp_path / "run", **{name.replace("/", "__"): "."})
    sent: list[str] = []
    monkeypatch.setattr(Storage, "_send_file", lambda self, path, name: sent.append(name))
    Storage((tmp_path / "there").as_uri()).send(tmp_path / "run")
    assert sent == names


def test_checkpoints_may_come_and_go_while_a_storage_takes_the_folder(tmp_path: Path) -> None:
    checkpoints, stop = tmp_path / "run" / "checkpoints", threading.Event()

    def train() -> None:
        while not stop.is_set():
            write(checkpoints, **{"1.unfinished__agent": "one"})
            (checkpoints / "1.unfinished").rename(checkpoints / "1")
            (checkpoints / "1").rename(checkpoints / "1.unwanted")
            shutil.rmtree(checkpoints / "1.unwanted")

    write(tmp_path / "run", config="{}", checkpoints__0__agent="zero")
    storage = Storage((tmp_path / "there").as_uri())
    with ThreadPoolExecutor(1) as thread:
        training = thread.submit(train)
        try:
            for _ in range(2000):
                storage.send(tmp_path / "run")
        finally:
            stop.set()
        training.result()
    storage.send(tmp_path / "run")
    assert contents(tmp_path / "there") == {"config": "{}", "checkpoints/0/agent": "zero"}


@pytest.mark.parametrize("uri", ["runs", "nonsense://x", ""])
def test_an_address_that_is_no_storage_is_named(uri: str) -> None:
    with pytest.raises(UserError, match=f"storage = '{uri}': it takes an address such as file:///"):
        Storage(uri)


def test_versions_that_differ_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    here = versions()
    assert differences(here, here) == []
    there = {"python": "3.9.1", "packages": {**here["packages"], "torch": "1.0"}}
    del there["packages"]["gymnasium"]
    assert differences(here, there) == [
        f"python {here['python']} here, 3.9.1 there",
        f"gymnasium {here['packages']['gymnasium']} here, not installed there",
        f"torch {here['packages']['torch']} here, 1.0 there",
    ]
    assert ray_versions.main([json.dumps({"python": "2.7.18", "packages": {}})]) == 2
    assert "error: the cluster has other versions: python 2.7.18 here, 3." in capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("submit", "submit takes NAME first"),
        ("submit ppo_cartpole --addres x", "unknown option --addres: did you mean --address?"),
        ("submit ppo_cartpole --address head:8265", "address = 'head:8265': it takes that of a Ray dashboard"),
        (
            "submit ppo_cartpole --address http://127.0.0.1:9",
            "address = 'http://127.0.0.1:9': no Ray cluster takes jobs",
        ),
        ("submit ppo_cartpole --address http://head:8265", "storage = None: for http://head:8265 it takes a place"),
        ("submit ppo_cartpole --storage nonsense://x", "storage = 'nonsense://x/ppo_cartpole/"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    line: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line)) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"error: {message}")


def test_a_cluster_that_is_not_there_ends_quietly(tmp_path: Path) -> None:
    assert ray_local.stop(state=tmp_path / "cluster.json") == 0
    (own,) = ray_local.free_ports(1)
    assert own > 0
    # A process that got the number of one that was started is not ended.
    state = tmp_path / "cluster.json"
    state.write_text(json.dumps({"nodes": [{"pid": os.getpid(), "began": "long ago", "log": ""}]}))
    assert ray_local.stop(state=state) == 0
    assert not state.exists()


def wait_for(condition: Any, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


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
