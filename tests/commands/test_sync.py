"""`sync`: a whole run as a copy in Weights & Biases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.counting import command

pytestmark = pytest.mark.usefixtures("workplace")


def test_the_place_of_the_copy_in_wandb_is_told_before_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker offline --run-dir here") == 0
    *_, copy, verdict, run = capsys.readouterr().out.splitlines()
    assert verdict.startswith("claim: score >= 150: does not hold for this one seed")
    folder, _, sending = copy.removeprefix("wandb: offline copy in ").partition(", ")
    assert sending == "send it with: make sync RUN=here"
    assert any(Path(folder).glob("*.wandb"))
    assert run == "run: here"
    assert command("sync here --tracker offline") == 0
    assert any(Path(capsys.readouterr().out.strip()).glob("*.wandb"))
