"""Tournaments: seats, ratings, and what a config may ask for."""

from __future__ import annotations

import numpy as np
import pytest

from agents.acting.tournament import TournamentConfig, both_seats, lookahead, ratings
from envs.tasks.board_games import TIC_TAC_TOE, game
from training.errors import UserError

RULES = game(TIC_TAC_TOE)


def test_who_looks_ahead_beats_who_does_not_from_both_seats() -> None:
    rng = np.random.default_rng(1)
    results = both_seats(RULES, lookahead(RULES, 2, rng), lookahead(RULES, 0, rng), 200)
    assert len(results) == 200
    assert results[:100].mean() > 0.7
    assert results[100:].mean() > 0.4
    equal = both_seats(RULES, lookahead(RULES, 9, rng), lookahead(RULES, 9, rng), 4)
    assert equal.tolist() == [0, 0, 0, 0]


def test_ratings_are_elos_and_the_first_player_is_their_anchor() -> None:
    # With so many games the added draws do not count: ten times as many points are 400 apart.
    points = np.array([[0.0, 1e6, 1e6], [1e7, 0.0, 1e6], [1e7, 1e6, 0.0]])
    assert ratings(points) == pytest.approx([0, 400, 400], abs=0.5)
    never_won = ratings(np.array([[0.0, 10.0], [0.0, 0.0]]))
    assert np.isfinite(never_won).all()
    assert never_won[1] < 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lookahead_moves": (1, 2)}, "lookahead_moves"),
        ({"episodes": 5}, "episodes = 5: it takes an even number of games"),
        ({"pair_games": 3}, "pair_games = 3"),
    ],
)
def test_impossible_numbers_are_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TournamentConfig(**wrong)
