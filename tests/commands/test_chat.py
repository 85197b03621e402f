"""`chat`: lines are answered with what was said before, and a mistake is one line."""

from __future__ import annotations

import io

import pytest

from experiments.__main__ import main
from tests.support.language_models import SMALL_GPT

pytestmark = pytest.mark.usefixtures("workplace")

SMALL = (
    "train sft_countdown --data.train 60 --data.demonstrations 60 --data.held-out 8 --model.width 16 --model.layers 1 "
    "--model.heads 2 --steps 60 --minibatch-size 16 --test-samples 0 --tracker none --run-dir"
)


def talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: str, *asked: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    capsys.readouterr()
    assert main(["chat", *asked]) == 0
    return capsys.readouterr().out


def test_lines_are_answered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL.split(), "plain"]) == 0
    both = talk(monkeypatch, capsys, "3,7,9>30:\n\n3,7,9>30:\n", "plain", "--temperature", "0")
    one, other, rest = both.split("\n")
    assert one == other != ""  # without marks every question is by itself
    assert not rest
    assert talk(monkeypatch, capsys, "hello\n3,7,9>30:\n", "plain", "--temperature", "0") == one + "\n"

    marks = ["--template.question", ";;", "--template.answer", ">>"]
    assert main([*SMALL.split(), "marked", *marks]) == 0
    drawn = talk(monkeypatch, capsys, "3,7,9>30:\n3,7,9>30:\n", "marked", "--seed", "5")
    assert drawn == talk(monkeypatch, capsys, "3,7,9>30:\n3,7,9>30:\n", "marked", "--seed", "5")
    assert ";;" not in drawn
    afresh = talk(monkeypatch, capsys, "1,2,3>6:\n/new\n3,7,9>30:\n", "marked", "--temperature", "0")
    alone = talk(monkeypatch, capsys, "3,7,9>30:\n", "marked", "--temperature", "0")
    assert afresh.split("\n")[1] == alone.strip("\n")


def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "gpt_stdlib", *SMALL_GPT, "--steps", "2", "--tracker", "none", "--run-dir", "gpt"]) == 0
    capsys.readouterr()
    for asked, told in (
        (["gpt"], "gpt did not learn to answer: `sample` lets it write, if it is a language model"),
        (["nowhere"], "nowhere is not a run"),
        (["gpt", "--seed", "-1"], "seed = -1: it takes an integer of at least 0"),
    ):
        assert main(["chat", *asked]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
