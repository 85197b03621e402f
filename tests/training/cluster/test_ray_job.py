"""Runs as jobs: what is kept in a storage, which versions are refused, and (full) a real cluster of two nodes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
