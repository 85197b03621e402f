"""`list`: what there is to run."""

from __future__ import annotations

import pytest

from experiments.__main__ import main
from tests.support.counting import command

pytestmark = pytest.mark.usefixtures("workplace")


def test_list_shows_what_makes_claims_with_the_first_line_of_its_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list") == 0
    assert capsys.readouterr().out == (
        "compared   Counts better.\n"
        "counting   Counts to a budget.\n"
        "diverging  Its loss overflows in the sixth update.\n"
    )


def test_algorithms_are_listed_apart_from_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    experiments, told, algorithms = capsys.readouterr().out.split("\n\n")
    assert told == "Algorithms, on any environment: train NAME --env.id MyEnv-v0"
    names = [{line.split()[0] for line in part.splitlines()} for part in (experiments, algorithms)]
    assert "ppo_cartpole" in names[0]
    assert {"ppo", "sac"} <= names[1]
    assert not names[0] & names[1]
