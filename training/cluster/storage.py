"""A run folder in storage that several machines reach: file://, s3:// or gs://, through pyarrow's file systems.

What is there is at any moment a run that can be resumed: the rows of the log before the checkpoints that count on them,
and the manifest of a checkpoint, without which it is none, after its files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from training.errors import UserError
from training.run.folder import LOCK

UNFINISHED = (".unfinished", ".unwanted")
"""The endings of what is being written or removed at this moment."""


def open_storage(uri: str, name: str = "storage") -> tuple[Any, str]:
    """The pyarrow file system of an address, and the path there: file://, s3://, gs:// and hf://.

    Raises UserError, under the name of the option, for an address that pyarrow does not know.
    """
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    try:
        files, root = FileSystem.from_uri(uri.rstrip("/"))
    except (ArrowException, OSError, ValueError, ImportError) as error:
        takes = "an address such as file:///shared/runs or s3://bucket/runs"
        raise UserError(f"{name} = {uri!r}: it takes {takes} ({str(error).splitlines()[0]})") from None
    return files, root


class Storage:
    """One folder in the storage. Raises UserError for an address that pyarrow does not know."""

    def __init__(self, uri: str) -> None:
        self._files, self._root = open_storage(uri)
        self._sent: dict[str, tuple[int, int]] = {}

    def send(self, folder: Path) -> None:
        """Makes the storage hold what the folder holds; sends only what changed since this object sent it last."""
        # Listed first: the rows that are sent below are at least those of the checkpoints that are listed.
        found = {path.relative_to(folder).as_posix(): path for path in _files_in(folder)}
        for name in sorted(found, key=_order):
            try:
                about = found[name].stat()
                if self._sent.get(name) != (about.st_size, about.st_mtime_ns):
                    self._send_file(found[name], name)
                    self._sent[name] = (about.st_size, about.st_mtime_ns)
            except FileNotFoundError:  # an old checkpoint was removed meanwhile
                continue
        for name in [name for name in self._names() if name not in found]:
            self._files.delete_file(f"{self._root}/{name}")
            self._sent.pop(name, None)

    def fetch(self, folder: Path) -> int:
        """Copies everything into the folder; returns how many files there were."""
        names = list(self._names())
        for name in names:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with self._files.open_input_stream(f"{self._root}/{name}") as source, place.open("wb") as target:
                shutil.copyfileobj(source, target)
        return len(names)

    def _send_file(self, path: Path, name: str) -> None:
        place = f"{self._root}/{name}"
        self._files.create_dir(place.rpartition("/")[0], recursive=True)
        with path.open("rb") as source, self._files.open_output_stream(place) as target:
            shutil.copyfileobj(source, target)

    def _names(self) -> Iterable[str]:
        from pyarrow.fs import FileSelector, FileType

        selector: Any = FileSelector(self._root, recursive=True, allow_not_found=True)
        for info in self._files.get_file_info(selector):
            if info.type == FileType.File:
                yield info.path.removeprefix(self._root).lstrip("/")


def _files_in(folder: Path) -> list[Path]:
    """All at one moment: a checkpoint that is renamed or removed meanwhile has them listed anew."""
    while True:
        found = []
        try:
            for place, inner, names in os.walk(folder, onerror=_raise):
                inner[:] = [name for name in inner if not name.endswith(UNFINISHED)]
                found += [Path(place, name) for name in names if name != LOCK and not name.endswith(UNFINISHED)]
        except FileNotFoundError:
            if not folder.exists():
                raise
        else:
            return found


def _raise(error: OSError) -> None:
    raise error


def _order(name: str) -> tuple[int, str]:
    if "checkpoints/" not in name:
        return 0, name
    return (2 if name.endswith("manifest.json") else 1), name
