"""Where datasets lie: how they are found, and that they come to be there whole or not at all."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import minari
import pytest

from agents.acting.recording import save
from envs.config import EnvConfig
from envs.episodes.dataset_folders import copy_dataset, locked
from envs.episodes.datasets import read_dataset
from tests.support import ROOT
from tests.support.datasets import buffer, write
from tests.support.recorded import record_random
from training.errors import UserError

COUNTING = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")
pytestmark = pytest.mark.usefixtures("root")


def test_a_dataset_is_found_by_name_and_by_path(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write("some/where-v0", buffer())
    same = read_dataset("some/where-v0").sha256
    assert same == read_dataset(str(root / "some" / "where-v0")).sha256
    assert same == read_dataset(str(root / "some" / "where-v0" / "data")).sha256
    monkeypatch.delenv("MINARI_DATASETS_PATH")
    assert same == read_dataset("some/where-v0").sha256, "datasets/ of the working folder"
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    shutil.copytree(root, home / ".minari" / "datasets")
    shutil.rmtree(root)
    assert same == read_dataset("some/where-v0").sha256, "Minari's own place"
    assert copy_dataset("some/where-v0", home / ".minari" / "datasets") == Path("datasets/some/where-v0")
    assert same == read_dataset("datasets/some/where-v0").sha256


def error_of(act: Callable[[], object]) -> str:
    with pytest.raises(UserError) as told:
        act()
    assert "\n" not in str(told.value)
    return str(told.value)


def test_an_unknown_name_is_not_the_dataset_that_we_are_in(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("some/where-v0", buffer())
    monkeypatch.chdir(root / "some" / "where-v0")
    assert len(read_dataset(".")) == 1
    assert error_of(lambda: read_dataset("else-v0")).startswith("unknown dataset else-v0: there are some/where-v0")


def test_one_process_at_a_time_makes_datasets(root: Path) -> None:
    entered = threading.Event()

    def other() -> None:
        with locked(root):
            entered.set()

    thread = threading.Thread(target=other)
    with locked(root):
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    thread.join()


def test_an_unknown_dataset_is_told_with_the_nearest_name(root: Path) -> None:
    assert error_of(lambda: read_dataset("a-v0")) == f"unknown dataset a-v0: there are no datasets in {root}"
    write("robots/walk-v0", buffer())
    assert error_of(lambda: read_dataset("robots/wlak-v0")) == (
        "unknown dataset robots/wlak-v0: did you mean robots/walk-v0?"
    )


@pytest.mark.parametrize(
    "name", ["", "walk", "walk-v", "../walk-v0", "a b-v0", "/abs-v0", "x/walk-v0", "walk-v0/", "é-v0"]
)
def test_a_name_that_minari_would_not_take_is_told(name: str) -> None:
    episodes, seeds = record_random(COUNTING, 1)
    assert error_of(lambda: save(name, episodes, seeds, COUNTING, algorithm="none", told={})) == (
        f"dataset = {name!r}: it takes letters, digits, - and _ (two or more before a /), then -v and a number, "
        "such as robots/walk-v0"
    )


def test_a_name_that_is_taken_is_told(root: Path) -> None:
    write("aa/taken-v0", buffer())
    before = read_dataset("aa/taken-v0").sha256
    episodes, seeds = record_random(COUNTING, 1)
    told = error_of(lambda: save("aa/taken-v0", episodes, seeds, COUNTING, algorithm="none", told={}))
    assert told == f"dataset = 'aa/taken-v0': {root}/aa/taken-v0 exists; remove it or take another name"
    assert read_dataset("aa/taken-v0").sha256 == before


WRITER = """
import os, signal
from agents.acting.recording import save
from envs.config import EnvConfig, find_spec
from tests.support.recorded import record_random
from minari.dataset._storages.hdf5_storage import HDF5Storage

real = HDF5Storage.update_episodes
def dies(self, episodes):
    real(self, list(episodes)[:2])
    {how}
HDF5Storage.update_episodes = dies
env = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")
save("aa/half-v0", *record_random(env, 4), env, algorithm="none", told=dict())
"""


@pytest.mark.parametrize(
    ("how", "code"), [("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL), ("raise KeyboardInterrupt", 1)]
)
def test_a_recording_that_dies_leaves_no_half_dataset(how: str, code: int, root: Path) -> None:
    repository = ROOT
    argv = [sys.executable, "-c", WRITER.format(how=how)]
    died = subprocess.run(argv, cwd=repository, capture_output=True, check=False)
    assert died.returncode in (code, -signal.SIGINT), died.stderr.decode()
    assert not (root / "aa" / "half-v0").exists()
    assert minari.list_local_datasets() == {}
    episodes, seeds = record_random(COUNTING, 4)
    save("aa/half-v0", episodes, seeds, COUNTING, algorithm="none", told={})
    assert read_dataset("aa/half-v0").sha256 == episodes.sha256
    assert [path.name for path in (root / "aa").iterdir()] == ["half-v0"], "nothing is left of the first attempt"


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("envs.episodes.dataset_folders.sync", full)
    episodes, seeds = record_random(COUNTING, 1)
    told = error_of(lambda: save("a-v0", episodes, seeds, COUNTING, algorithm="none", told={}))
    assert told == f"dataset = 'a-v0': {root}/a-v0 cannot be written (No space left on device)"
    assert list(root.iterdir()) == []
