"""The user's cache is where the environment says, else in the home."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.user_cache import user_cache


def test_it_is_where_the_environment_says_else_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert user_cache("native") == Path("/somewhere/regimen/native")
    for nothing in ("", None):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        if nothing is not None:
            monkeypatch.setenv("XDG_CACHE_HOME", nothing)
        assert user_cache("a", "b") == Path.home() / ".cache" / "regimen" / "a" / "b"
