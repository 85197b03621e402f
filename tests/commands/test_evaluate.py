"""`evaluate`: the policy of a run, measured as at its end or otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support.counting import result_of, train_on_data

pytestmark = pytest.mark.usefixtures("workplace")


def test_evaluate_measures_what_the_run_measured_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train ppo_cartpole --seed 5 --env-steps 512 --tracker none --run-dir here --evaluation.final-episodes 20"
    assert main(asked.split()) == 0
    capsys.readouterr()
    assert main(["evaluate", "here"]) == 0
    measured = result_of("here")["metrics"]
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert told == [[name, f"{value:.6g}"] for name, value in measured.items()]
    assert main(["evaluate", "here", "--episodes", "10", "--seed", "6", "--stochastic"]) == 0
    assert float(capsys.readouterr().out.split()[1]) != measured["evaluation/return_mean"]
    assert main(["evaluate", "here", "--episodes", "7"]) == 2
    assert capsys.readouterr().err == (
        "error: episodes = 7: it takes a positive multiple of evaluation.num_envs = 10\n"
    )
    assert main(["evaluate", "here", "--episodes", "10", "--video"]) == 0
    video = Path(capsys.readouterr().out.splitlines()[-1].removeprefix("video: "))
    assert video == Path("here/videos/CartPole-v1-seed-5.mp4")
    assert video.stat().st_size > 5_000


def test_a_run_that_learned_from_data_has_no_policy_to_play_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert train_on_data(Path("run"), "--epochs", "2") == 0
    assert "claim: best test/auc >= 0.99" in capsys.readouterr().out
    for verb in ("evaluate", "record"):
        assert main([verb, "run"]) == 2
        assert "learned from data and has no policy to play with" in capsys.readouterr().err
