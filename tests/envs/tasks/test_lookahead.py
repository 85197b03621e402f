"""Looking ahead: it wins and parries where it can, and the worst case is that over every opponent."""

from __future__ import annotations

import numpy as np

from envs.tasks.board_games import TIC_TAC_TOE, game
from envs.tasks.lookahead import chosen_moves, move_values, worst_case

RULES = game(TIC_TAC_TOE)


def position(*moves: int) -> np.ndarray:
    state = np.zeros((2, 1))
    for move in moves:
        state, _, _ = RULES.transition(state, np.array([move]))
    return state


def test_a_win_is_seen_one_move_ahead_and_a_loss_two() -> None:
    wins = position(0, 3, 1, 4)  # 2 completes the own column
    assert move_values(RULES, wins, 1)[0].tolist() == [-np.inf, -np.inf, 1, -np.inf, -np.inf, 0, 0, 0, 0]
    threatened = position(0, 3, 1)  # the opponent of the one who moved completes at 2
    values = move_values(RULES, threatened, 2)[0]
    assert values[2] == 0
    assert set(values[[5, 6, 7, 8]]) == {-1.0}
    assert chosen_moves(RULES, threatened, 2, np.random.default_rng(0)).tolist() == [2]


def test_a_move_that_is_drawn_is_allowed_and_any_of_the_best() -> None:
    state = np.repeat(position(4), 400, axis=1)
    drawn = chosen_moves(RULES, state, 0, np.random.default_rng(0))
    assert set(drawn.tolist()) == {0, 1, 2, 3, 5, 6, 7, 8}


def test_perfect_play_draws_against_everybody_and_the_first_free_cell_loses() -> None:
    def perfect(state: np.ndarray) -> np.ndarray:
        return move_values(RULES, state, 9).argmax(1)

    assert worst_case(RULES, perfect, moves_first=True) == 0
    assert worst_case(RULES, perfect, moves_first=False) == 0

    def first_free(state: np.ndarray) -> np.ndarray:
        assert RULES.legal is not None
        return RULES.legal(state).argmax(1)

    assert worst_case(RULES, first_free, moves_first=False) == -1
