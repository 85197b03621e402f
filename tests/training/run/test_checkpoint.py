"""Checkpoints: equal to the bit, atomic under kill -9, verified, without pickle."""

from __future__ import annotations

import ast
import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support import ROOT
from training.core import Counters, Every
from training.errors import UserError
from training.run import checkpoint as checkpoint_module
from training.run.checkpoint import Checkpoint, Score, newest_first, read_best, read_state
from training.run.files import sha256
from training.state import State


class Part:
    """The smallest part of a run: it holds a state."""

    def __init__(self, state: State | None = None) -> None:
        self.state: State = state or {}

    def state_dict(self) -> State:
        return self.state

    def load_state_dict(self, state: State) -> None:
        self.state = state


def at(updates: int) -> Counters:
    return Counters(env_steps=updates * 10, updates=updates)


def make(folder: Path, part: Part | None = None, *, keep_last: int = 3) -> Checkpoint:
    return Checkpoint(folder / "checkpoints", {"agent": part or Part()}, every=Every(1), keep_last=keep_last)


def save_up_to(folder: Path, updates: int, *, keep_last: int = 3) -> Checkpoint:
    part = Part()
    checkpoint = make(folder, part, keep_last=keep_last)
    for update in range(1, updates + 1):
        part.state = {"weight": torch.full((50,), float(update))}
        checkpoint.save(at(update))
    return checkpoint


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


# ---- saving ----


def test_a_save_that_fails_names_the_value_and_leaves_nothing_behind(tmp_path: Path) -> None:
    save_up_to(tmp_path, 1)
    with pytest.raises(TypeError, match=r"agent\.inner\.1 is a builtins\.set"):
        make(tmp_path, Part({"inner": [0, {1, 2}]})).save(at(2))
    assert names(tmp_path) == ["0000000001"]


def test_saving_moves_no_random_generator(tmp_path: Path) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    save_up_to(tmp_path, 4, keep_last=1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


# ---- which checkpoints there are ----


def test_the_last_k_and_the_best_are_kept_and_the_best_survives_a_resume(tmp_path: Path) -> None:
    checkpoint = make(tmp_path, keep_last=2)
    for update, score in enumerate([1.0, 5.0, math.nan, 5.0, 2.0, math.inf], start=1):
        assert checkpoint.score(score, at(update)) == (update in (1, 2))
        checkpoint.save(at(update))
    assert names(tmp_path) == ["0000000002", "0000000005", "0000000006"]
    resumed = make(tmp_path, keep_last=2)
    assert resumed.restore() == at(6)
    assert resumed.best_score == Score(5.0, at(2))
    assert resumed.best == read_best(tmp_path / "checkpoints") == tmp_path / "checkpoints/0000000002"
    assert resumed.last == tmp_path / "checkpoints/0000000006"
    assert not resumed.score(4.9, at(7))
    assert resumed.score(5.1, at(7))
    resumed.save(at(7))
    assert names(tmp_path) == ["0000000006", "0000000007"], "the former best is gone"


def test_a_second_save_at_the_same_counters_changes_no_state_but_learns_the_best(tmp_path: Path) -> None:
    checkpoint = save_up_to(tmp_path, 2)
    files = {path: path.stat().st_mtime_ns for path in checkpoint.save(at(2)).iterdir()}
    assert {path: path.stat().st_mtime_ns for path in checkpoint.save(at(2)).iterdir()} == files
    assert checkpoint.score(3.0, at(2))
    checkpoint.save(at(2))
    resumed = make(tmp_path)
    assert resumed.restore() == at(2)
    assert resumed.best_score == Score(3.0, at(2))


def test_there_is_nothing_to_restore_at_first(tmp_path: Path) -> None:
    checkpoint = make(tmp_path)
    assert checkpoint.restore() == Counters()
    assert (checkpoint.last, checkpoint.best) == (None, None)
    assert not (tmp_path / "checkpoints").exists(), "looking makes no folder"


def test_reasons_for_being_inexact_are_kept_for_ever(tmp_path: Path) -> None:
    part = Part()
    part.inexact = ["an episode began again"]  # type: ignore[attr-defined]
    make(tmp_path, part).save(at(1))
    resumed = make(tmp_path)
    resumed.restore()
    resumed.save(at(2))
    again = make(tmp_path)
    again.restore()
    assert again.inexact == ["an episode began again"]


def test_a_changed_experiment_is_told_which_part_differs(tmp_path: Path) -> None:
    save_up_to(tmp_path, 1)
    folder = tmp_path / "checkpoints"
    with pytest.raises(UserError, match="no part 'replay'"):
        Checkpoint(folder, {"agent": Part(), "replay": Part()}, every=Every(1)).restore()
    with pytest.raises(UserError, match="a part 'agent'"):
        Checkpoint(folder, {}, every=Every(1)).restore()
    with pytest.raises(UserError, match="no part 'critic': it has agent"):
        read_state(folder / "0000000001", "critic")


# ---- damage ----


def damage(file: Path, how: str, position: float) -> None:
    content = bytearray(file.read_bytes())
    index = min(int(position * len(content)), len(content) - 1)
    if how == "flipped":
        content[index] ^= 1
        file.write_bytes(content)
    elif how == "truncated":
        file.write_bytes(content[:index])
    else:
        file.unlink()


@pytest.mark.parametrize("how", ["flipped", "truncated", "missing"])
@pytest.mark.parametrize("name", ["manifest.json", "agent.json", "agent.safetensors"])
@pytest.mark.parametrize("position", [0.0, 0.3, 0.9])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_used(
    how: str, name: str, position: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_up_to(tmp_path, 3)
    newest = tmp_path / "checkpoints/0000000003"
    damage(newest / name, how, position)
    with pytest.raises(UserError, match=rf"0000000003 is damaged: {name}"):
        read_state(newest, "agent")
    part = Part()
    checkpoint = make(tmp_path, part)
    assert checkpoint.restore() == at(2)
    assert part.state["weight"][0] == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert str(newest) in told
    assert name in told
    assert "continuing from 0000000002" in told
    assert names(tmp_path) == ["0000000001", "0000000002", "0000000003.damaged"]
    checkpoint.save(at(3))
    assert make(tmp_path).restore() == at(3), "the place of the damaged one is free again"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["manifest.json", "agent.json", "agent.safetensors"])
def test_no_flipped_bit_goes_unnoticed(name: str, tmp_path: Path) -> None:
    file = make(tmp_path, Part({"a": 1, "b": torch.ones(2)})).save(at(1)) / name
    intact = file.read_bytes()
    for index in range(len(intact)):
        content = bytearray(intact)
        content[index] ^= 1 << index % 8
        file.write_bytes(content)
        try:
            same = name == "manifest.json" and json.loads(content) == json.loads(intact)  # other white space
        except ValueError:
            same = False
        if not same:
            with pytest.raises(UserError):
                make(tmp_path).restore()


def test_when_all_are_damaged_all_are_named_and_none_is_moved(tmp_path: Path) -> None:
    save_up_to(tmp_path, 2)
    for name in names(tmp_path):
        (tmp_path / "checkpoints" / name / "agent.json").unlink()
    for _ in range(2):
        with pytest.raises(UserError, match=r"no checkpoint.*0000000002.*0000000001"):
            make(tmp_path).restore()


def test_the_best_is_forgotten_when_it_was_the_damaged_one_and_the_one_before_it_is_gone(tmp_path: Path) -> None:
    checkpoint = make(tmp_path, keep_last=2)
    for update, score in enumerate([1.0, 0.0, 0.0, 2.0], start=1):
        checkpoint.score(score, at(update))
        checkpoint.save(at(update))
    assert names(tmp_path) == ["0000000003", "0000000004"]
    (tmp_path / "checkpoints/0000000004/agent.json").unlink()
    resumed = make(tmp_path)
    assert resumed.restore() == at(3)
    assert (resumed.best, resumed.best_score) == (None, None)
    assert resumed.score(0.5, at(4)), "the next one is the best that can be kept"


def test_a_newer_format_is_an_error_that_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_up_to(tmp_path, 1)
    monkeypatch.setattr(checkpoint_module, "FORMAT", 7)
    save_up_to(tmp_path, 2)
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"format 7.*up to 2"):
        make(tmp_path).restore()
    assert names(tmp_path) == ["0000000001", "0000000002"]


# ---- no pickle ----


class Bomb:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_planted_pickle_is_an_error_and_is_not_executed(how: str, tmp_path: Path) -> None:
    bomb, exploded = Bomb(tmp_path / "exploded"), tmp_path / "exploded"
    save_up_to(tmp_path, 1)
    folder = tmp_path / "checkpoints/0000000001"
    planted = folder / "agent.safetensors"
    if how == "pickle":
        planted.write_bytes(pickle.dumps(bomb))
    else:
        torch.save(bomb, planted)
    with pytest.raises(UserError, match="not what was written"):
        make(tmp_path).restore()
    manifest = json.loads((folder / "manifest.json").read_text())  # also when the hashes are made to fit
    manifest["sha256"]["agent.safetensors"] = sha256(planted)
    del manifest["checksum"]
    manifest["checksum"] = checkpoint_module._checksum(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="cannot be read"):
        make(tmp_path).restore()
    assert not exploded.exists()


def test_nothing_that_could_execute_a_file_is_imported_or_called() -> None:
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "eval", "exec"}
    modules = sorted((ROOT / "training" / "run").glob("*.py"))
    assert {"checkpoint", "serialization", "run", "folder"} <= {path.stem for path in modules}
    for module in modules:
        tree = ast.parse(module.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported = {alias.name for alias in node.names} | {getattr(node, "module", "")}
                assert not imported & forbidden, f"{module.name} imports {imported}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr == "load":
                assert node.value.id not in ("torch", "np", "numpy"), f"{module.name} calls {node.value.id}.load"


# ---- kill -9 ----

KILL_AT_EVERY_FILE_OPERATION = """
import os, shutil, signal, sys
from pathlib import Path
import torch
from tests.training.run.test_checkpoint import Part, at, make, names, save_up_to
from training.run.checkpoint import newest_first, read_state

def die_at(count):
    left = [count]
    def tick(event, *_):
        if event in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.scandir", "fsync"):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    os.fsync = lambda descriptor: tick("fsync")
    sys.addaudithook(tick)

def prepare(folder, updates):
    part = Part()
    checkpoint = make(folder, part, keep_last=2)
    for update in range(1, updates + 1):
        part.state = {"weight": torch.full((50,), float(update))}
        checkpoint.score(float(update == 1), at(update))
        checkpoint.save(at(update))
    part.state = {"weight": torch.full((50,), updates + 1.0)}
    return checkpoint

def run(folder, updates, count, again):
    checkpoint = prepare(folder, updates)
    if updates and again:
        checkpoint.score(9.0, at(updates))
    pid = os.fork()
    if pid == 0:
        die_at(count)
        checkpoint.save(at(updates if again else updates + 1))
        os._exit(0)
    killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    part = Part()
    resumed = make(folder, part, keep_last=2)
    now = resumed.restore()
    assert now.updates in ((updates,) if again else (updates, updates + 1)), now
    assert killed or again or now.updates == updates + 1
    if now.updates:
        assert part.state["weight"][0] == now.updates
        for checkpoint_folder in newest_first(resumed.last.parent):
            read_state(checkpoint_folder, "agent")
    if updates:
        assert resumed.best is not None
    resumed.save(at(updates + 2))
    best = [] if resumed.best is None else [resumed.best.name]
    kept = sorted({*(path.name for path in newest_first(resumed.last.parent)[:2]), *best})
    assert names(folder) == kept, (names(folder), kept)
    for checkpoint_folder in resumed.last.parent.iterdir():
        files = {path.name for path in checkpoint_folder.iterdir()}
        assert files == {"manifest.json", "agent.json", "agent.safetensors"}, (checkpoint_folder, files)
    return killed

os.fsync = lambda descriptor: None  # what kill -9 leaves does not depend on it, and it is slow
root, points = Path(sys.argv[1]), []
for updates, again in ((0, False), (1, False), (4, False), (4, True)):
    count = 1
    while run(root / f"{updates}-{again}-{count}", updates, count, again):
        count += 1
    points.append(count - 1)
print(*points)
"""


def test_killed_at_any_file_operation_of_a_save_the_newest_or_the_one_before_it_is_intact(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILL_AT_EVERY_FILE_OPERATION, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, second, with_removal, again = map(int, done.stdout.split())
    assert min(first, second) >= 10, "the save of a new checkpoint has at least these places to die"
    assert with_removal > second
    assert again >= 3


def test_all_of_a_checkpoint_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    renamed: list[str] = []
    really_rename = os.rename

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)

    def rename(source: Path, target: Path) -> None:
        assert {path.stat().st_ino for path in (source, *source.iterdir())} <= set(synced)
        really_rename(source, target)
        renamed.append(target.name)
        synced.clear()

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    save_up_to(tmp_path, 1)
    assert renamed == ["0000000001"]
    assert (tmp_path / "checkpoints").stat().st_ino in synced, "and the name itself is, too"


def test_leftovers_are_not_checkpoints(tmp_path: Path) -> None:
    save_up_to(tmp_path, 1)
    for name in ("0000000009.unfinished", "0000000008.unwanted", "0000000007.damaged"):
        (tmp_path / "checkpoints" / name).mkdir()
    assert [path.name for path in newest_first(tmp_path / "checkpoints")] == ["0000000001"]
    assert make(tmp_path).restore() == at(1)
    assert names(tmp_path) == ["0000000001", "0000000007.damaged"]
