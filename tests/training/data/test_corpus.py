"""Text as tokens: any text comes back, files are on one side of the split, and bad files are told by name."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.corpus import (
    END,
    CorpusConfig,
    Tokenizer,
    find_files,
    rewritten,
    sequences,
    split_files,
    tokenize_corpus,
)
from training.data.splits import Splits
from training.errors import UserError

TEXTS = [f"def double_{index}(value):\n    return value * {index}\n" for index in range(40)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.trained(TEXTS, 300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    for index, text in enumerate(TEXTS):
        (source / f"{index:02d}.py").write_text(text)
    return source


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    tokenizer = Tokenizer.trained(TEXTS[:3], 260)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_end_token_is_not_made_by_text_that_spells_it(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(f"one{END}two")
    assert tokenizer.end not in tokens
    assert tokenizer.decode(tokens) == f"one{END}two"


def test_what_comes_often_is_one_token(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode(" return")) == 1
    assert tokenizer.size == 300


def test_a_tokenizer_is_the_json_that_hugging_face_reads(tokenizer: Tokenizer) -> None:
    text = tokenizer.to_json()
    assert json.loads(text)["model"]["type"] == "BPE"
    assert Tokenizer(text).encode(TEXTS[7]) == tokenizer.encode(TEXTS[7])


def test_every_document_is_whole_on_one_side(folder: Path, tmp_path: Path) -> None:
    config = CorpusConfig(str(folder), held_out=0.1)
    corpus = tokenize_corpus(config, tmp_path / "data", seed=1, vocabulary=300)
    found: list[str] = []
    for name, count in zip(Splits._fields, (32, 4, 4), strict=True):
        tokens = corpus.splits[name]
        ends = np.flatnonzero(tokens == corpus.tokenizer.end)
        assert ends[0] == 0
        assert ends[-1] == len(tokens) - 1
        assert len(ends) == count + 1
        found += [corpus.tokenizer.decode(tokens[begin + 1 : end].tolist()) for begin, end in pairwise(ends)]
    assert sorted(found) == sorted(TEXTS)


def test_the_tokenizer_learns_from_the_training_split_alone(folder: Path, tmp_path: Path) -> None:
    held_out = split_files(find_files(CorpusConfig(str(folder))), 0.05, 1)["test"]
    for path in held_out:
        path.write_text(f"zyxwvu {path.stem} " * 200)
    corpus = tokenize_corpus(CorpusConfig(str(folder)), tmp_path / "data", seed=1, vocabulary=400)
    assert len(corpus.tokenizer.encode(" zyxwvu")) == 7


def test_a_run_goes_on_with_the_tokens_that_it_began_with(folder: Path, tmp_path: Path) -> None:
    config = CorpusConfig(str(folder))
    began = tokenize_corpus(config, tmp_path / "data", seed=1, vocabulary=300)
    (folder / "more.py").write_text("pass\n")
    again = tokenize_corpus(config, tmp_path / "data", seed=1, vocabulary=300)
    for name in Splits._fields:
        np.testing.assert_array_equal(began.splits[name], again.splits[name])
    assert began.tokenizer.to_json() == again.tokenizer.to_json()


def test_a_rewritten_corpus_has_the_same_documents_in_the_same_split(folder: Path, tmp_path: Path) -> None:
    corpus = tokenize_corpus(CorpusConfig(str(folder), held_out=0.1), tmp_path / "data", seed=1, vocabulary=300)
    for _ in range(2):  # made, and found again
        changed = rewritten(corpus, str.upper, tmp_path / "upper")
        for name, tokens in corpus.splits.items():
            text, upper = (corpus.tokenizer.decode(part.tolist()) for part in (tokens, changed.splits[name]))
            assert upper == text.upper() != text
            assert sum(changed.splits[name] == corpus.tokenizer.end) == sum(tokens == corpus.tokenizer.end)


def test_the_same_content_is_one_document(folder: Path) -> None:
    (folder / "copy.py").write_text(TEXTS[3])
    assert len(find_files(CorpusConfig(str(folder)))) == 40


def test_rows_follow_each_other() -> None:
    rows = sequences(np.arange(12, dtype=np.int32), 4)
    assert rows.tolist() == [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8]]
    with pytest.raises(UserError, match="context = 12: it takes at most 11: the smallest split has 12 tokens"):
        sequences(np.arange(12, dtype=np.int32), 12)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b" \n", "is empty: it takes text"),
        (b"caf\xe9", "is no text in UTF-8: byte 3"),
        (b"ab\0c", "is binary: it holds a zero byte at 2"),
    ],
)
def test_a_file_that_is_no_text_is_told(content: bytes, told: str, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.py").write_bytes(content)
    with pytest.raises(UserError, match=f"bad.py {told}"):
        tokenize_corpus(CorpusConfig(str(folder), held_out=0.01), tmp_path / "data", seed=1, vocabulary=300)
    assert not (tmp_path / "data" / "tokenizer.json").exists()


def test_what_a_corpus_lacks_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"corpus\.folder = '/nowhere': there is no such folder"):
        find_files(CorpusConfig("/nowhere"))
    with pytest.raises(UserError, match="they match no file in"):
        find_files(CorpusConfig(str(folder), patterns=("*.rst",)))
    with pytest.raises(UserError, match="the corpus has 2 files: it takes at least 3"):
        split_files(sorted(folder.iterdir())[:2], 0.05, 1)
    with pytest.raises(UserError, match="vocabulary = 200: it takes at least 257"):
        Tokenizer.trained(TEXTS, 200)


def test_the_standard_library_is_at_hand() -> None:
    files = find_files(CorpusConfig(without=("test/**/*",)))
    names = {path.name for path in files}
    assert {"argparse.py", "tarfile.py"} <= names
    assert not any("site-packages" in path.parts for path in files)


@pytest.mark.parametrize(
    "pattern", ["*.py", "*/*", "**/*.py", "**/test/**/*", "a/**/*.py", "**/[tb]*/*.py", "a/**/test/*", "**/c?.py", "a"]
)
def test_what_is_left_out_is_what_the_pattern_finds(pattern: str, tmp_path: Path) -> None:
    names = (
        "c.py",
        "a/c1.py",
        "a/test/c.py",
        "a/test/b/c2.py",
        "test/d.py",
        "b/a/test/e.py",
        "b/tests/f.py",
        "keep.txt",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = find_files(CorpusConfig(str(tmp_path), patterns=("**/*.py", "keep.txt"), without=(pattern,)))
    assert set(found) == {tmp_path / name for name in names} - set(tmp_path.glob(pattern))
