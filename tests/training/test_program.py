"""What the user is told to type is what was typed."""

from __future__ import annotations

import pytest

from training.program import program


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("/usr/bin/regimen", "regimen"),
        ("experiments/__main__.py", "python -m experiments"),
        ("", "python -m experiments"),
    ],
)
def test_it_is_named_as_it_was_started(typed: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [typed, "train"])
    assert program() == told
