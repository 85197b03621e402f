"""C++ beside Python: it is compiled once, kept, and made anew where its source is another."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT
from training import native


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for cached in (native.load, native.can_load, native._folder):
        cached.cache_clear()
    file = tmp_path / "answer.cpp"
    file.write_text('extern "C" int answer() { return 42; }\n')
    yield file
    for cached in (native.load, native.can_load, native._folder):
        cached.cache_clear()


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


def test_where_it_cannot_be_compiled_it_is_said_once_and_torch_computes(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert native.can_load(source)
    source.write_text("no C++\n")
    for cached in (native.load, native.can_load):
        cached.cache_clear()
    assert not native.can_load(source)
    assert not native.can_load(source)
    assert capsys.readouterr().err.count("answer.cpp cannot be compiled (") == 1
    native.can_load.cache_clear()
    monkeypatch.setenv("CXX", "no-compiler")
    assert not native.can_load(source)
    assert capsys.readouterr().err == ""


def test_a_cache_that_cannot_be_written_is_one_of_this_process(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(source))  # a file
    assert native.load(source).answer() == 42
    assert native._folder().name.startswith("regimen-")


FILES = [file for folder in ("agents", "envs", "training") for file in sorted((ROOT / folder).rglob("*.cpp"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
@pytest.mark.parametrize("name", ["g++", "clang++"])
def test_no_compiler_has_anything_to_say(file: Path, name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not here")
    strict = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    flags = [flag for flag in native.FLAGS if flag != "-shared"]
    subprocess.run([name, *flags, *strict, str(file)], check=True)


def test_every_file_is_beside_the_python_that_calls_it() -> None:
    assert FILES
    for file in FILES:
        assert file.with_suffix(".py").exists(), file
