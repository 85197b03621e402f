"""`check`: what is said of an environment, its exit code, and mistakes in what was asked."""

from __future__ import annotations

import json

import pytest

from envs.checks import check as checking
from experiments.__main__ import main

FLAWED = "tests.envs.checks.test_check:Flawed-v0"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PLAY_STEPS", 200), ("PLAY_SECONDS", 600.0), ("PART_SECONDS", 600.0)):
        monkeypatch.setattr(checking, name, value)


def test_groups_are_told_in_words_or_as_json_and_what_is_wrong_is_exit_code_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", FLAWED, "--env.time-limit", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok"
    assert any(line.startswith("  ends: 66 episodes of 3 to 3 steps, 66 of them truncated") for line in lines)
    assert lines[-1].startswith(f"{FLAWED}: ")
    assert main(["check", FLAWED, "--env.kwargs", '{"flaw": "raises"}', "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    (wrong,) = told["wrong"]
    assert wrong["change"].startswith("see ")
    assert "test_check.py:" in wrong["change"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check"], "check takes ENV first"),
        (["check", "CartPole-v9"], "no environment is registered under this name"),
        (["check", "CartPole-v1", "--agent.gamma", "3"], "unknown option --agent.gamma"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
