"""Shelves: a folder here and what pyarrow reaches through fsspec are used alike."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from serving.shelf import Shelf
from training.errors import UserError


@pytest.mark.parametrize("kind", ["path", "file", "fsspec"])
def test_what_is_written_is_listed_read_and_deleted(kind: str, tmp_path: Path) -> None:
    address = {"path": str(tmp_path / "a"), "file": (tmp_path / "a").as_uri(), "fsspec": f"fsspec+memory:/{tmp_path}/a"}
    shelf = Shelf(address[kind], "target")
    assert shelf.names() == {}
    for name in ("one.json", "deep/er/two.json"):
        shelf.write(name, io.BytesIO(name.encode()))
    again = Shelf(address[kind], "source")
    assert again.names() == {"one.json": False, "deep/er/two.json": False}
    assert again.read("deep/er/two.json", 100) == b"deep/er/two.json"
    with pytest.raises(UserError, match=r"one.json has more than 3 bytes"):
        again.read("one.json", 3)
    shelf.delete("one.json")
    assert set(again.names()) == {"deep/er/two.json"}


def test_links_are_told_and_never_followed(tmp_path: Path) -> None:
    shelf, secret = tmp_path / "shelf", tmp_path / "secret"
    for folder in (shelf, secret):
        folder.mkdir()
    (secret / "key.json").write_text("{}")
    (shelf / "folder").symlink_to(secret)
    (shelf / "file.json").symlink_to(secret / "key.json")
    assert Shelf(str(shelf), "source").names() == {"folder": True, "file.json": True}
    with pytest.raises(UserError, match="is a link: it takes a folder"):
        Shelf(str(shelf / "folder"), "source").names()


def test_an_address_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="target = 'nonsense://x': it takes an address such as") as caught:
        Shelf("nonsense://x", "target")
    assert "\n" not in str(caught.value)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be used: ") as caught:
        Shelf(str(tmp_path / "file"), "target").write("one.json", io.BytesIO(b""))
    assert "\n" not in str(caught.value)
