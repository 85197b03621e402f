"""`diagnose`: what is wrong with a run, read from its files, while it goes on and after its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support.counting import result_of

pytestmark = pytest.mark.usefixtures("workplace")

FAULTY = (
    "train ppo_cartpole --env-steps 4096 --tracker none --run-dir here --log-every.count 256 "
    "--agent.optimizer.learning-rate 0.3 --evaluation.episodes 10 --evaluation.final-episodes 10"
)


def test_a_faulty_run_is_told_at_its_end_in_its_result_and_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(FAULTY.split()) == 0
    told = capsys.readouterr().out.splitlines()
    seen = [line for line in told if line.startswith("diagnosis: ")]
    assert seen[0].startswith("diagnosis: policy moves too far: One update changes the policy so much")
    assert "  try --agent.optimizer.learning-rate 0.03 (now 0.3): smaller steps" in told
    assert told[-1] == "run: here"
    findings = result_of("here")["findings"]
    assert findings[0]["name"] == "policy moves too far"
    assert findings[0]["stage"] == ""
    assert main(["diagnose", "here"]) == 0
    again = capsys.readouterr().out.splitlines()
    assert again[: len(seen)] == told[told.index(seen[0]) :][: len(seen)]
    assert len([line for line in again if line.startswith("diagnosis: ")]) == len(findings)
    Path("here/result.json").unlink()  # as while it goes on
    assert main(["diagnose", "here"]) == 0
    assert "policy moves too far" in capsys.readouterr().out


def test_where_nothing_is_found_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "ppo_cartpole", "--env-steps", "256", "--tracker", "none", "--run-dir", "here"]) == 0
    assert "diagnosis" not in capsys.readouterr().out
    assert result_of("here")["findings"] == []
    assert main(["diagnose", "here"]) == 0
    assert capsys.readouterr().out == "nothing found: none of the symptoms in docs/troubleshooting.md\n"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("diagnose", "diagnose takes RUN first"),
        ("diagnose nowhere", "nowhere is not a run: there is none in runs/ yet"),
        ("diagnose no/where --deep", "unexpected '--deep': diagnose takes a run and nothing else"),
    ],
)
def test_a_mistake_is_one_line(asked: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(asked.split()) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
