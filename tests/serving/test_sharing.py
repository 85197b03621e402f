"""Sharing: what is pulled is what was pushed, and nothing else is taken."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.policies.saved import load_policy
from serving import sharing
from serving.sharing import pull, push, shared_runs
from tests.support.exported import POLICIES, write_policy_run
from training.errors import UserError
from training.run.folder import Lock


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_policy_run(tmp_path / "run", POLICIES["ppo"]())


@pytest.fixture
def shelf(run: Path, tmp_path: Path) -> Path:
    push(run, str(tmp_path / "shelf"))
    return tmp_path / "shelf"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["file", "fsspec"])
def test_a_pulled_run_is_the_pushed_one(kind: str, run: Path, tmp_path: Path) -> None:
    address = (tmp_path / "there").as_uri() if kind == "file" else f"fsspec+memory:/{tmp_path}/there"
    pushed = push(run, address)
    pulled = pull(address, tmp_path / "again")
    assert pulled.folder == tmp_path / "again"
    mine, own = contents(run), contents(pulled.folder)
    assert pushed.files == len(own)
    assert pushed.size_bytes == sum(map(len, own.values()))
    assert own == {name: mine[name] for name in own}
    settings = json.loads(mine["config.json"])
    first, second = (load_policy(folder).state_dict() for folder in (run, pulled.folder))
    assert all(first[name].equal(second[name]) for name in first)
    assert list(shared_runs(address)) == [""]
    (manifest,) = shared_runs(address).values()
    assert manifest["id"] == settings["id"]


def test_a_run_is_pushed_again_over_its_earlier_state_and_over_nothing_else(run: Path, shelf: Path) -> None:
    (shelf / "checkpoints" / "old").mkdir()
    (shelf / "checkpoints" / "old" / "agent.json").write_text("{}")
    push(run, str(shelf))
    assert not (shelf / "checkpoints" / "old" / "agent.json").exists()
    other = write_policy_run(run.with_name("other"), POLICIES["ppo"]())
    with pytest.raises(UserError, match="it takes an empty place, or one that holds this run"):
        push(other, str(shelf))


def test_nothing_of_who_made_it_goes_along(run: Path, tmp_path: Path) -> None:
    settings = json.loads((run / "config.json").read_text())
    own = {"parent": "/home/somebody/runs/before", "tracker": "wandb", "wandb": {"entity": "a-team"}}
    (run / "config.json").write_text(json.dumps({**settings, **own}))
    push(run, str(tmp_path / "shelf"))
    assert json.loads((tmp_path / "shelf" / "config.json").read_text())["tracker"] == "none"
    for content in contents(tmp_path / "shelf").values():
        assert not any(word in content for word in (b"somebody", b"a-team", str(tmp_path).encode()))
    weights = {"initial_weights": "/home/somebody/weights.zip"}
    (run / "config.json").write_text(json.dumps({**settings, "config": weights}))
    with pytest.raises(UserError, match=r"names /home/somebody/weights\.zip, a path of this machine; --paths shows it"):
        push(run, str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()
    push(run, str(tmp_path / "other"), paths=True)


def test_a_run_that_goes_on_is_not_pushed(run: Path, tmp_path: Path) -> None:
    lock = Lock(run)
    with pytest.raises(UserError, match="goes on: push it when it is finished or stopped"):
        push(run, str(tmp_path / "shelf"))
    lock.release()


def named(shelf: Path, name: str, content: bytes, **changes: Any) -> None:
    """Puts a file on the shelf that the manifest names as if it had been pushed."""
    manifest = json.loads((shelf / "manifest.json").read_text())
    told = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["files"][name] = told
    (shelf / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    place = shelf / name
    if ".." not in name and not name.startswith("/"):
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_bytes(content)


class Evil:
    """A pickle that leaves a trace when it is loaded."""

    def __reduce__(self) -> Any:
        return exec, (f"open({str(Path.cwd() / 'executed')!r}, 'w')",)


def add(name: str, content: bytes = b"{}") -> Callable[[Path], None]:
    return lambda shelf: named(shelf, name, content)


def unnamed(shelf: Path) -> None:
    (shelf / "install.py").write_text("open('executed', 'w')")


def link(shelf: Path) -> None:
    (shelf / "environment.json").unlink()
    (shelf / "environment.json").symlink_to("/etc/passwd")


def changed(shelf: Path) -> None:
    file = next(shelf.rglob("agent.safetensors"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def longer(shelf: Path) -> None:
    with (shelf / "config.json").open("a") as file:
        file.write(" ")


def missing(shelf: Path) -> None:
    next(shelf.rglob("agent.json")).unlink()


def other_name(shelf: Path) -> None:
    named(shelf, "note.json", b"{}", id="../../.ssh")


def other_run(shelf: Path) -> None:
    named(shelf, "note.json", b"{}", id="20260101T000000Z-seed1-0000")


def newer(shelf: Path) -> None:
    named(shelf, "note.json", b"{}", format=99)


PLANTED = {
    "a pickle": (add("agent.pkl", pickle.dumps(Evil())), "names 'agent.pkl': a shared run is of"),
    "a script": (add("agents/own.py", b"open('executed', 'w')"), "names 'agents/own.py': a shared run is of"),
    "a script beside it": (unnamed, "install.py is not in its manifest"),
    "a link": (link, "environment.json is a link"),
    "a way out": (add("../../out.json"), "names '../../out.json', which does not lie inside it"),
    "a way to the root": (add("/tmp/out.json"), "names '/tmp/out.json', which does not lie inside it"),
    "a hidden file": (add(".git/config.json"), "names '.git/config.json', which does not lie inside it"),
    "a backslash": (add("..\\out.json"), "which does not lie inside it"),
    "another hash": (changed, "agent.safetensors is not what its manifest says"),
    "a longer file": (longer, "config.json is not what its manifest says"),
    "a missing file": (missing, "agent.json is in its manifest, and is not there"),
    "a pickle as safetensors": (add("weights.safetensors", pickle.dumps(Evil())), "is not what its name says"),
    "no JSON": (add("note.json", b"import os"), "note.json is not what its name says"),
    "a name that leads out": (other_name, "has id = '../../.ssh', which is no name"),
    "another run": (other_run, "its manifest of '20260101T000000Z-seed1-0000'"),
    "a name that writes to the terminal": (
        lambda shelf: named(shelf, "note.json", b"{}", env="\x1b[2J"),
        "has a name that cannot be printed",
    ),
    "measures that are none": (
        add("result.json", b'{"metrics": {"return": "high"}}'),
        "result.json has no metrics that can be read",
    ),
    "a newer format": (newer, "has format 99"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_refused_in_one_line_and_leaves_nothing(
    what: str, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    plant, told = PLANTED[what]
    plant(shelf)
    with pytest.raises(UserError) as caught:
        pull(str(shelf))
    assert told in str(caught.value)
    assert "is refused" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "work").rglob("*") if path.is_file()], "nothing is kept, nothing ran"


def test_a_pull_writes_over_nothing(run: Path, shelf: Path, tmp_path: Path) -> None:
    before = contents(run)
    with pytest.raises(UserError, match="is there already: pull takes a new folder"):
        pull(str(shelf), run)
    assert contents(run) == before
    with pytest.raises(UserError, match=r"holds no shared run: it has no manifest.json"):
        pull(str(tmp_path), tmp_path / "new")


def test_it_tells_of_code_that_the_config_names(run: Path, tmp_path: Path) -> None:
    settings = json.loads((run / "config.json").read_text())
    config = {"env": {"id": "corridor:Corridor-v0"}, "policy": {"network": {"module": "nets:Encoder"}}}
    (run / "config.json").write_text(json.dumps({**settings, "config": config}))
    push(run, str(tmp_path / "shelf"))
    assert pull(str(tmp_path / "shelf"), tmp_path / "new").names_code == ["corridor:Corridor-v0", "nets:Encoder"]


def test_a_manifest_that_is_none_is_refused(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (
        "[]",
        "{}",
        "nonsense",
        "[" * 100_000,
        '{"format": Infinity, "files": {}}',
        '{"format": 1, "experiment": "x", "id": "y", "files": {"a.json": 3}}',
    ):
        (shelf / "manifest.json").write_text(text)
        with pytest.raises(UserError, match=r"is refused: manifest.json cannot be read"):
            pull(str(shelf), shelf.with_name("new"))
    monkeypatch.setattr(sharing, "MOST_MANIFEST_BYTES", 3)
    with pytest.raises(UserError, match="has more than 3 bytes"):
        pull(str(shelf), shelf.with_name("new"))
