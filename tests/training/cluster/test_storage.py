"""A run folder in a storage, at any moment one that can be resumed."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from training.cluster.storage import Storage
from training.errors import UserError


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
