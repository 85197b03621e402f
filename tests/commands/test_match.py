"""`match`: a person's moves are asked for until they are allowed, and a run plays others."""

from __future__ import annotations

import io

import pytest

from experiments.__main__ import main

pytestmark = pytest.mark.usefixtures("workplace")

SHORT = "--env-steps 256 --num-envs 8 --agent.minibatch-size 64 --tracker none --evaluation.final-episodes 2"


@pytest.fixture
def game() -> str:
    asked = f"train ppo_tic_tac_toe {SHORT} --evaluation.episodes 2 --evaluation.pair-games 2 --run-dir game"
    assert main(asked.split()) == 0
    return "game"


def test_a_person_plays_a_run_and_others_are_counted(
    game: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO("nine\n4\n4\nq\n"))
    assert main(["match", game, "--second"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("\n2 5 8\n1 4 7\n0 3 6\nx (you): moves are 0, 1, 2, 3, 4, 5, 6, 7, 8; q ends the game\n")
    assert told.count("moves are") == 2  # the cell in the middle is free once
    # Nine moves of which those that are not allowed are asked for again: somebody wins, or the board is full.
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(str, [*range(9)] * 9))))
    assert main(["match", game, "--simulations", "8"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] in [f"the run (x) {result}" for result in ("won", "drew", "lost")]
    for against in ("random", "lookahead:2", game):
        assert main(["match", game, "--against", against, "--games", "4", "--simulations", "8"]) == 0
        counts = [int(part.split()[0]) for part in capsys.readouterr().out.split(": ")[-1].split(", ")]
        assert sum(counts) == 4


def test_who_cannot_play_is_named(game: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    for asked, told in {
        "--against lookahead:9": "against = 'lookahead:9': it takes person, random, lookahead:N with N from 1",
        "--against nobody": "nobody is not a run",
        "--games 3 --against random": "games = 3: it takes an even number",
        "--games 0": "games = 0: it takes at least 1",
        "--simulations -1": "simulations = -1: it takes at least 0",
    }.items():
        assert main(["match", game, *asked.split()]) == 2
        assert capsys.readouterr().err.startswith(f"error: {told}")


def test_a_run_that_plays_no_game_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"train ppo_cartpole {SHORT} --agent.horizon 32 --run-dir pole".split()) == 0
    capsys.readouterr()
    assert main(["match", "pole"]) == 2
    assert capsys.readouterr().err.startswith("error: pole plays no game of two on a board, which are envs.tasks:")
