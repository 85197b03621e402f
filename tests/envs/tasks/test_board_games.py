"""Tic-tac-toe and connect four: their rules against plain ones, whose move it is, and what a config may ask for."""

from __future__ import annotations

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_env, make_vec
from envs.tasks.board_games import CONNECT_FOUR, TIC_TAC_TOE, Board
from training.errors import UserError


def plainly_won(grid: np.ndarray, line: int) -> bool:
    """Whether a grid [width, height] of 0 and 1 has so many ones in a row, cell by cell."""
    width, height = grid.shape
    for x in range(width):
        for y in range(height):
            for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
                places = [(x + k * dx, y + k * dy) for k in range(line)]
                if all(0 <= a < width and 0 <= b < height and grid[a, b] for a, b in places):
                    return True
    return False


@pytest.mark.parametrize("board", [TIC_TAC_TOE, CONNECT_FOUR])
def test_games_go_as_on_a_plain_board(board: Board) -> None:
    rng = np.random.default_rng(1)
    wins = 0
    for _ in range(60):
        state, grids = np.zeros((2, 1)), [np.zeros((board.width, board.height)) for _ in range(2)]
        for number in range(board.width * board.height):
            own = grids[number % 2]
            free = (grids[0] + grids[1]) == 0
            expected = free.any(1) if board.falls else free.ravel()
            np.testing.assert_array_equal(board.legal(state)[0], expected)
            seen = board.observe(state)[0].reshape(2, board.width, board.height)
            np.testing.assert_array_equal(seen, [own, grids[1 - number % 2]])
            move = int(rng.choice(np.flatnonzero(expected)))
            cell = (move, int(free[move].argmax())) if board.falls else divmod(move, board.height)
            own[cell] = 1
            state, reward, is_over = board.transition(state, np.array([move]))
            won = plainly_won(own, board.line)
            assert (reward[0], is_over[0]) == (float(won), won or number + 1 == board.width * board.height)
            wins += won
            if is_over[0]:
                break
    assert wins > 20


def test_the_next_observation_is_the_opponents() -> None:
    vec = make_vec(EnvConfig("envs.tasks:TicTacToe-v0"), 2, seed=1)
    vec.reset()
    step = vec.step({"action": np.array([0, 4])})
    assert step.opponent_next is not None
    assert step.opponent_next.all()
    assert step.obs["obs"][:, :9].sum() == 0
    assert step.obs["obs"][:, 9:].sum(1).tolist() == [1, 1]


def test_openings_are_random_moves_of_half_the_games() -> None:
    vec = make_vec(EnvConfig("envs.tasks:TicTacToe-v0", kwargs={"random_moves": 4}), 200, seed=1)
    stones = vec.reset().obs["obs"].sum(1)
    assert 70 < (stones == 0).sum() < 130
    assert set(stones.tolist()) == {0, 1, 2, 3, 4}
    with pytest.raises(UserError, match="random_moves = 5: it takes 0 to 4: nobody has won by then"):
        make_vec(EnvConfig("envs.tasks:TicTacToe-v0", kwargs={"random_moves": 5}), 2, seed=1)


def test_a_single_game_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="is stepped by its batched rules: see ppo_tic_tac_toe"):
        make_env(EnvConfig("envs.tasks:TicTacToe-v0"))


def test_a_position_is_shown_with_who_is_to_move_as_x() -> None:
    state, _, _ = TIC_TAC_TOE.transition(np.zeros((2, 1)), np.array([4]))
    assert TIC_TAC_TOE.text(state[:, 0]) == ". . .\n. o .\n. . ."
