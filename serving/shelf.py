"""Where shared runs lie: a folder here, or one at an address that pyarrow reaches (file://, s3://, gs://, hf://)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from training.cluster.storage import open_storage
from training.errors import UserError
from training.extras import extra


class Shelf:
    """A folder that holds one shared run, or many below it.

    Raises UserError, with the name of the option, for an address that is none.
    """

    def __init__(self, address: str, option: str) -> None:
        self.address = address
        with extra("data"):
            import pyarrow.fs

        here = "://" not in address
        self._files, self._root = open_storage(Path(address).absolute().as_uri() if here else address, option)
        self._is_local = isinstance(self._files, pyarrow.fs.LocalFileSystem)

    def names(self) -> dict[str, bool]:
        """Every file and link below, by its name from here on, and whether it is a link. Links are not followed."""
        from pyarrow.fs import FileSelector, FileType

        with self._told():
            if self._is_local:
                return self._local_names()
            infos = self._files.get_file_info(FileSelector(self._root, recursive=True, allow_not_found=True))
        return {self._below(info.path): False for info in infos if info.type != FileType.Directory}

    def read(self, name: str, most_bytes: int) -> bytes:
        """The content of a file. Raises UserError for one that is larger."""
        with self._told(), self.open(name) as source:
            content = source.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise UserError(f"{self.address}: {name} has more than {most_bytes} bytes")
        return bytes(content)

    def open(self, name: str) -> Any:
        """A file to be read, piece by piece."""
        with self._told():
            return self._files.open_input_stream(f"{self._root}/{name}")

    def write(self, name: str, source: IO[bytes]) -> None:
        """Puts a file there, in place of what has its name."""
        place = f"{self._root}/{name}"
        with self._told():
            self._files.create_dir(place.rpartition("/")[0], recursive=True)
            with self._files.open_output_stream(place) as target:
                shutil.copyfileobj(source, target)

    def delete(self, name: str) -> None:
        """Removes a file."""
        with self._told():
            self._files.delete_file(f"{self._root}/{name}")

    def _local_names(self) -> dict[str, bool]:
        root = Path(self._root)
        if root.is_symlink():
            raise UserError(f"{self.address} is a link: it takes a folder")
        found = {}
        for place, folders, files in os.walk(root):
            links = [name for name in folders if Path(place, name).is_symlink()]
            for name in (*files, *links):
                path = Path(place, name)
                found[path.relative_to(root).as_posix()] = path.is_symlink() or not path.is_file()
        return found

    def _below(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            told = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{self.address} cannot be used: {told}") from None
