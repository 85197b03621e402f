"""Where datasets are kept, and how each is written atomically.

A dataset is a folder `<root>/<name>/data/`. The root is where MINARI_DATASETS_PATH points, otherwise `datasets/` of the
working folder; there ours are written. Minari's own `~/.minari/datasets/` is read too.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.errors import UserError
from training.names import nearest
from training.run.files import sync

NAME = re.compile(r"(?:[-\w]{2,}/)*[-\w]+-v\d+", re.ASCII)


def find_dataset(name: str) -> Path:
    """The folder of a dataset, given by its name or as a path.

    Raises UserError, with the nearest name, when there is none.
    """
    path = Path(name)
    for folder in (*(root / name for root in roots()), path.parent if path.name == "data" else path):
        if _is_dataset(folder):
            return folder
    known = [known for root in roots() for known in _names(root, root)]
    hint = nearest(name, known) if known else f"there are no datasets in {' or '.join(map(str, roots()))}"
    raise UserError(f"unknown dataset {name}: {hint}", key="dataset")


def read_metadata(name: str) -> dict[str, Any]:
    """What a dataset says of itself; raises UserError when that cannot be read."""
    file = find_dataset(name) / "data" / "metadata.json"
    try:
        metadata = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"dataset {name} cannot be read: {file} is no JSON ({error})") from None
    if not isinstance(metadata, dict):
        raise UserError(f"dataset {name} cannot be read: {file} holds no JSON object")
    return metadata


def require_free(name: str, root: Path | None = None) -> Path:
    """The folder of a dataset that is to be made; raises UserError where the name is taken or is none for Minari."""
    if not NAME.fullmatch(name):
        takes = "letters, digits, - and _ (two or more before a /), then -v and a number, such as robots/walk-v0"
        raise UserError(f"dataset = {name!r}: it takes {takes}", key="dataset")
    folder = (root or roots()[0]) / name
    if folder.exists():
        raise UserError(f"dataset = {name!r}: {folder} exists; remove it or take another name", key="dataset")
    return folder


@contextmanager
def making(name: str, root: Path | None = None) -> Iterator[Path]:
    """A folder to fill, which becomes the dataset `name` at the end of the block, unless that fails.

    Raises UserError as `require_free` does, and where the folder cannot be written.
    """
    folder = require_free(name, root)
    for left in folder.parent.glob(f".{folder.name}.*.unfinished"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")  # Minari does not list hidden folders
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        for path in (*unfinished.rglob("*"), unfinished):
            sync(path)
        os.rename(unfinished, folder)
        sync(folder.parent)
    except OSError as error:
        raise UserError(f"dataset = {name!r}: {folder} cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def copy_dataset(name: str, source: Path) -> Path:
    """A dataset from another root under its name where datasets lie; returns its folder. Raises as `making` does."""
    with making(name) as folder:
        shutil.copytree(source / name, folder, dirs_exist_ok=True)
    return find_dataset(name)


def roots() -> list[Path]:
    """The folders in which datasets are found by their names; new ones are written into the first."""
    own = os.environ.get("MINARI_DATASETS_PATH")
    return [Path(own)] if own else [Path("datasets"), Path.home() / ".minari" / "datasets"]


def has_dataset(name: str, root: Path) -> bool:
    """Whether there is a dataset of this name."""
    return _is_dataset(root / name)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """In the block this process is the only one that makes datasets there; it waits for its turn."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_dataset(folder: Path) -> bool:
    return (folder / "data" / "metadata.json").is_file()


def _names(root: Path, folder: Path) -> Iterator[str]:
    for inner in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _is_dataset(inner):
            yield inner.relative_to(root).as_posix()
        elif inner.is_dir() and not inner.name.startswith("."):
            yield from _names(root, inner)
