"""Text as tokens: files as documents, split by file; byte-level BPE; packed token arrays on the disk.

A packed array holds one document after the other, with the end token before the first, between two and after the last.
"""

from __future__ import annotations

import itertools
import os
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.data.sources import read_text
from training.data.splits import Splits
from training.errors import UserError, require
from training.extras import extra
from training.run.files import sha256, sync
from training.seeding import generator

Tokens = NDArray[np.int32]
END = "<|endoftext|>"
BYTES = 256


@dataclass(frozen=True)
class CorpusConfig:
    """Which files are read."""

    folder: str | None = None
    """None: the standard library of the Python that runs this."""
    patterns: tuple[str, ...] = ("**/*.py",)
    """Of the files in the folder."""
    without: tuple[str, ...] = ()
    """Patterns of files that are left out."""
    bytes_per_document: int | None = None
    """Longer files are left out; None: none."""
    held_out: float = 0.05
    """The fraction of the files for validation, and that for the test."""

    def __post_init__(self) -> None:
        require(0 < self.held_out < 0.5, "held_out", self.held_out, "a fraction above 0, below 0.5")
        require(bool(self.patterns), "patterns", self.patterns, "at least one pattern")

    @property
    def test_per_train(self) -> float:
        """As that of `SplitConfig`, in files."""
        return self.held_out / (1 - 2 * self.held_out)


def find_files(config: CorpusConfig) -> list[Path]:
    """The files of a corpus, sorted; of files with the same content the first, and no empty one of Python's own.

    Raises UserError when the folder is missing or holds no such file.
    """
    root = Path(config.folder or sysconfig.get_path("stdlib"))
    if not root.is_dir():
        raise UserError(f"corpus.folder = {config.folder!r}: there is no such folder")
    without = [pattern.split("/") for pattern in ("site-packages/**/*", *config.without)]

    def is_asked_for(path: Path) -> bool:
        parts = path.relative_to(root).parts
        return not any(_matches(parts, pattern) for pattern in without) and path.is_file()

    found = {path for pattern in config.patterns for path in root.glob(pattern) if is_asked_for(path)}
    most = config.bytes_per_document
    files = sorted(path for path in found if most is None or path.stat().st_size <= most)
    if config.folder is None:
        files = [path for path in files if path.stat().st_size]
    if not files:
        raise UserError(f"corpus.patterns = {config.patterns}: they match no file in {root}")
    return list({sha256(path): path for path in reversed(files)}.values())[::-1]


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether `Path.glob` finds the path by the pattern, both in parts: searching a large tree takes longer."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(path[skipped:], pattern[1:]) for skipped in range(len(path)))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])


def split_files(files: Sequence[Path], held_out: float, seed: int) -> dict[str, list[Path]]:
    """Train, validation and test, each file in one of them. Raises UserError when there are fewer than three files."""
    count = max(1, round(held_out * len(files)))
    if len(files) < 2 * count + 1:
        raise UserError(
            f"the corpus has {len(files)} files: it takes at least 3, one for each of {', '.join(Splits._fields)}"
        )
    order = torch.randperm(len(files), generator=generator(seed, "split")).tolist()
    parts = order[2 * count :], order[:count], order[count : 2 * count]
    return {name: [files[index] for index in sorted(part)] for name, part in zip(Splits._fields, parts, strict=True)}


class Tokenizer:
    """Byte-level BPE (Sennrich et al. 2016, in the way of GPT-2): any text has tokens, and they give it back.

    Made of the JSON that `to_json` gives; `size` tokens, of which `end` is between documents and stands for no text.
    One `of_characters` has a token for each of some characters, and for no other text.
    """

    def __init__(self, json: str, end: str = END) -> None:
        self._tokenizer = _library().Tokenizer.from_str(json)
        self._tokenizer.encode_special_tokens = True  # an end token that is spelled out in a text is text
        self.size: int = self._tokenizer.get_vocab_size()
        number = self._tokenizer.token_to_id(end)
        if number is None:
            raise UserError(f"the tokenizer has no token {end!r}")
        self.end: int = number
        self.end_text = end
        by_character = type(self._tokenizer.model).__name__ == "WordLevel"
        self._characters = frozenset(self._tokenizer.get_vocab()) - {end} if by_character else None

    @classmethod
    def trained(cls, texts: Iterable[str], size: int) -> Tokenizer:
        """Learns `size` tokens from the texts; there are fewer when these do not have as many."""
        require(size > BYTES, "vocabulary", size, f"at least {BYTES + 1}: the bytes and the end token")
        library = _library()
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        alphabet = library.pre_tokenizers.ByteLevel.alphabet()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    @classmethod
    def of_characters(cls, alphabet: str) -> Tokenizer:
        """A token for each character, and the end token before them."""
        library = _library()
        vocabulary = {token: number for number, token in enumerate([END, *dict.fromkeys(alphabet)])}
        tokenizer = library.Tokenizer(library.models.WordLevel(vocabulary))
        tokenizer.add_special_tokens([END])
        tokenizer.pre_tokenizer = library.pre_tokenizers.Split("", "isolated")
        tokenizer.decoder = library.decoders.Fuse()
        return cls(tokenizer.to_str())

    def encode(self, text: str) -> list[int]:
        """Raises UserError for a text with a character that there is no token for."""
        if self._characters is not None and (unknown := set(text) - self._characters):
            known = "".join(sorted(self._characters))
            raise UserError(f"the tokenizer knows no {min(unknown)!r}: its characters are {known!r}")
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """The text; bytes that are no UTF-8 become the replacement character."""
        text: str = self._tokenizer.decode(list(tokens))
        return text

    def to_json(self) -> str:
        """All of it, as Hugging Face's tokenizer.json."""
        json: str = self._tokenizer.to_str()
        return json


def pack(texts: Iterable[str], tokenizer: Tokenizer, path: Path) -> None:
    """Writes the texts as one packed array, text by text, so that they need not fit into memory."""
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("wb") as file:
        np.array([tokenizer.end], np.int32).tofile(file)
        for text in texts:
            np.array([*tokenizer.encode(text), tokenizer.end], np.int32).tofile(file)
    sync(unfinished)
    os.replace(unfinished, path)


def read_packed(path: Path) -> Tokens:
    """A packed array, mapped from the disk: what is read of it is loaded when it is read."""
    return np.memmap(path, np.int32, mode="c")


@dataclass(frozen=True)
class TokenizedCorpus:
    """The packed arrays of the splits, and what made them."""

    tokenizer: Tokenizer
    splits: Mapping[str, Tokens]
    source: str

    def rows(self, context: int) -> Splits:
        """`tokens` [S, context + 1] of every split, see `sequences`."""
        space = spaces.Box(0, self.tokenizer.size - 1, (context + 1,), np.int32)
        return Splits(
            *(
                Dataset({"tokens": sequences(self.splits[name], context)}, {"tokens": space}, self.source)
                for name in Splits._fields
            )
        )


def tokenize_corpus(
    config: CorpusConfig, folder: Path, seed: int, vocabulary: int, tokenizer: Tokenizer | None = None
) -> TokenizedCorpus:
    """The corpus as it is in `folder`, where it is put the first time: later runs of the same folder see the same.

    Args:
        config: which files.
        folder: holds `tokenizer.json` and the arrays.
        seed: of the split.
        vocabulary: the size of the tokenizer, which learns from the training split alone.
        tokenizer: one that is there already, in place of a new one.
    """
    saved = folder / "tokenizer.json"  # written last
    paths = {name: folder / f"{name}.int32" for name in Splits._fields}
    if not saved.exists():
        folder.mkdir(exist_ok=True)
        files = split_files(find_files(config), config.held_out, seed)
        tokenizer = tokenizer or Tokenizer.trained(map(read_text, files["train"]), vocabulary)
        for name, path in paths.items():
            pack(map(read_text, files[name]), tokenizer, path)
        unfinished = saved.with_name("tokenizer.json.unfinished")
        unfinished.write_text(tokenizer.to_json(), encoding="utf-8")
        sync(unfinished)
        os.replace(unfinished, saved)
    end = tokenizer.end_text if tokenizer else END
    tokenizer = Tokenizer(saved.read_text(encoding="utf-8"), end)
    arrays = {name: read_packed(path) for name, path in paths.items()}
    return TokenizedCorpus(tokenizer, arrays, config.folder or "Python's standard library")


def rewritten(corpus: TokenizedCorpus, rewrite: Callable[[str], str], folder: Path) -> TokenizedCorpus:
    """The corpus with every document changed, in the split in which it was; put in `folder` the first time."""
    tokenizer = corpus.tokenizer
    folder.mkdir(exist_ok=True)
    arrays = {}
    for name, tokens in corpus.splits.items():
        path = folder / f"{name}.int32"
        if not path.exists():
            texts = (rewrite(tokenizer.decode(document.tolist())) for document in _documents(tokens, tokenizer.end))
            pack(texts, tokenizer, path)
        arrays[name] = read_packed(path)
    return replace(corpus, splits=arrays)


def _documents(tokens: Tokens, end: int) -> list[Tokens]:
    """Those of a packed array, without the end tokens."""
    (ends,) = np.nonzero(tokens == end)
    return [tokens[first + 1 : last] for first, last in itertools.pairwise(ends)]


def sequences(tokens: Tokens, context: int) -> Tokens:
    """A packed array as rows [S, context + 1] that follow each other; the last token of a row begins the next one.

    A view: nothing is read. Tokens behind the last whole row are left out. Raises UserError when there is none.
    """
    takes = f"at most {len(tokens) - 1}: the smallest split has {len(tokens)} tokens"
    require(1 <= context < len(tokens), "context", context, takes)
    return np.lib.stride_tricks.sliding_window_view(tokens, context + 1)[::context]


def _library() -> Any:
    # Its threads would not survive a fork, and texts of a few megabytes do not need them.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with extra("language"):
        import tokenizers
    return tokenizers
