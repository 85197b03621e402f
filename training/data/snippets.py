"""Snippets of text files as sequences of hashed words: without a vocabulary, nothing leaks from test to training.

Weinberger et al. 2009, "Feature hashing for large scale multitask learning", https://arxiv.org/abs/0902.2206.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.data.sources import read_text
from training.errors import UserError

WORD = re.compile(r"\w+|[^\w\s]")


def hashed_words(text: str, buckets: int) -> NDArray[np.int64]:
    """The words and signs of a text as numbers from 0 to `buckets` - 1."""
    return np.array([zlib.crc32(word.encode()) % buckets for word in WORD.findall(text)], np.int64)


def with_pairs(words: NDArray[np.int64], buckets: int) -> NDArray[np.int64]:
    """Hashed words [L] -> [L, 2]: beside each the pair of the one before it and itself, hashed too; 0 for the first."""
    pairs = [zlib.crc32(pair.tobytes()) % buckets for pair in np.stack([words[:-1], words[1:]], 1)]
    return np.stack([words, np.array([0, *pairs])], 1)


def labelled_snippets(
    files: Mapping[str, Sequence[Path]], *, words: int, per_file: int, buckets: int, source: str
) -> Dataset:
    """Pieces of `words` consecutive words, evenly spread, at most `per_file` of each file.

    `input` [S, words, 2] are hashed words and pairs (`with_pairs`), `target` is the place of the file's label in
    `files`, `group` the file. A file that is shorter than a piece gives none. Raises UserError for a label without a
    piece, and for a file without text.
    """
    pieces: list[NDArray[np.int64]] = []
    targets: list[int] = []
    groups: list[int] = []
    for target, (label, of_label) in enumerate(files.items()):
        for file in of_label:
            found = hashed_words(read_text(file), buckets)
            count = min(per_file, len(found) // words)
            starts = np.linspace(0, len(found) - words, count).astype(int)
            pieces += [with_pairs(found[start : start + words], buckets) for start in starts]
            targets += [target] * count
            groups += [len(groups)] * count
        if target not in targets[-1:]:
            raise UserError(f"{source}: {label} has no file with {words} words")
    arrays = {"input": np.stack(pieces), "target": np.array(targets), "group": np.array(groups)}
    seen = spaces.MultiDiscrete(np.full((words, 2), buckets))
    known = {"input": seen, "target": spaces.Discrete(len(files))}
    return Dataset(arrays, known, source, labels=tuple(files))
