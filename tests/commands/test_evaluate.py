"""`evaluate`: the policy of a run, measured as at its end or otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support.counting import result_of, train_on_data
from tests.support.packages import needs

pytestmark = pytest.mark.usefixtures("workplace")


def test_evaluate_measures_what_the_run_measured_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train ppo_cartpole --seed 5 --env-steps 512 --tracker none --run-dir here --evaluation.final-episodes 20"
    assert main(asked.split()) == 0
    capsys.readouterr()
    assert main(["evaluate", "here"]) == 0
    measured = result_of("here")["metrics"]
    *told, last = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert told == [[name, f"{value:.6g}"] for name, value in measured.items()]
    assert last == ["checkpoint:", "here/checkpoints/0000000002", "at", "512", "env_steps"]
    assert main(["evaluate", "here", "--episodes", "10", "--seed", "6", "--stochastic"]) == 0
    assert float(capsys.readouterr().out.split()[1]) != measured["evaluation/return_mean"]
    for option in ("--episodes", "--video"):
        assert main(["evaluate", "here", option, "-1"]) == 2
        assert capsys.readouterr().err.startswith(f"error: {option[2:]} = -1: it takes ")
    before = result_of("here")
    assert main(["evaluate", "here", "--episodes", "7", "--checkpoint", "best", "--json", "--video", "2"]) == 2
    assert capsys.readouterr().err == "error: run here has no best checkpoint yet\n"  # it was too short for one
    assert main(["evaluate", "here", "--episodes", "7", "--json", "--video", "2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"]["evaluation/episodes"] == 7
    videos = [Path(video) for video in told.pop("videos")]
    assert [video.name for video in videos] == ["CartPole-v1-seed-5.mp4", "CartPole-v1-seed-5-episode-1.mp4"]
    assert all(video.stat().st_size > 1_000 for video in videos)
    kept = [json.loads(line) for line in Path("here/evaluations.jsonl").read_text().splitlines()]
    assert [(one["seed"], one["greedy"]) for one in kept] == [(5, True), (6, False), (5, True)]
    assert kept[-1] == told
    assert (kept[0]["checkpoint"], kept[0]["metrics"]) == ("checkpoints/0000000002", measured)
    assert result_of("here") == before


def test_a_run_that_learned_from_data_has_no_policy_to_play_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert train_on_data(Path("run"), "--epochs", "2") == 0
    assert "claim: best test/auc >= 0.99" in capsys.readouterr().out
    for verb in ("evaluate", "record"):
        assert main([verb, "run"]) == 2
        assert "learned from data and has no policy to play with" in capsys.readouterr().err


@needs("pettingzoo", "multiagent")
def test_games_of_two_and_matches_are_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    short = "--env-steps 256 --num-envs 8 --agent.minibatch-size 64 --tracker none --evaluation.final-episodes 2"
    game = f"train ppo_tic_tac_toe {short} --evaluation.episodes 2 --evaluation.pair-games 2 --run-dir game"
    assert main(game.split()) == 0
    match = "--env.id tests.support.toy_matches:Leaving --agent.horizon 8 --evaluation.num-envs 2 --run-dir match"
    assert main([*f"train ppo {short}".split(), *match.split()]) == 0
    assert main(["evaluate", "match", "--episodes", "2"]) == 0
    capsys.readouterr()
    for asked in (["evaluate", "game"], ["play", "game"], ["record", "game", "--dataset", "a/b-v0"]):
        assert main(asked) == 2
        assert (
            capsys.readouterr().err
            == "error: game plays a game of two: result.json has what it won against others, `match` plays it\n"
        )
    for asked in (["play", "match"], ["record", "match", "--dataset", "a/b-v0"]):
        assert main(asked) == 2
        told = "`evaluate` measures it, nothing shows or records it"
        assert capsys.readouterr().err == f"error: match plays a match of several agents: {told}\n"
