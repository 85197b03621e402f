"""`export`: from a run to a folder for other programs, by one command."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.__main__ import main
from serving import exported
from serving.comparison import Compared
from tests.support.exported import POLICIES, write_policy_run

pytestmark = pytest.mark.usefixtures("workplace")


def test_the_command_says_what_it_wrote_and_how_it_compared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_policy_run(Path("run"), POLICIES["sac"]())
    assert main(["export", "run", "--format", "pt2"]) == 0
    model, compared, example = capsys.readouterr().out.splitlines()
    assert model.startswith("model: run/exported/model.pt2 (")
    assert compared.startswith("compared: 1000 inputs, 0 choices differ, numbers by ")
    assert example == "example: python run/exported/example.py"
    monkeypatch.setattr(exported, "compare", lambda *_: Compared(1000, 1, 0.0))
    assert main(["export", "run", "--format", "pt2", "--to", "elsewhere"]) == 1
    assert capsys.readouterr().err.startswith("error: model.pt2 differs from run/checkpoints/")
    assert not Path("elsewhere").exists()


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    write_policy_run(Path("run"), POLICIES["sac"]())
    for words, told in (
        (["nothing"], "nothing is not a run"),
        (["run", "--format", "h5"], "format"),
        (["run", "--checkpoint", "best"], "has no best checkpoint yet"),
        (["run", "--web", "."], "the page has CartPole-v0 and CartPole-v1 in it"),
    ):
        assert main(["export", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert told in line
    assert main(["export", "--help"]) == 0
