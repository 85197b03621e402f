"""C++ beside Python: it is compiled once, kept, and made anew where its source is another."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from training import native


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "answer.cpp"
    file.write_text('extern "C" int answer() { return 42; }\n')
    return file


def libraries(source: Path) -> list[Path]:
    return sorted((source.parent / "cache" / "regimen" / "native").iterdir())


def test_it_is_compiled_once_and_loaded_from_then_on(source: Path) -> None:
    assert native.load(source).answer() == 42
    (library,) = libraries(source)
    written = library.stat().st_mtime_ns
    time.sleep(0.01)
    native.load.cache_clear()
    assert native.load(source).answer() == 42
    assert libraries(source) == [library]
    assert library.stat().st_mtime_ns == written


def test_another_source_is_another_library(source: Path) -> None:
    native.load(source)
    source.write_text('extern "C" int answer() { return 43; }\n')
    native.load.cache_clear()
    assert native.load(source).answer() == 43
    assert len(libraries(source)) == 2


def test_what_the_compiler_says_is_told_and_nothing_is_left(source: Path) -> None:
    source.write_text("no C++\n")
    native.load.cache_clear()
    with pytest.raises(RuntimeError, match=r"answer\.cpp:\n(.|\n)*error"):
        native.load(source)
    assert libraries(source) == []


def test_the_compiler_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "CXX", "clang++-99")
    assert native.compiler() == "clang++-99"
