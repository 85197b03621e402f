"""Tic-tac-toe and connect four as batched dynamics (envs/vectors/batched.py): thousands of games at once, as bitboards.

A position is seen as who is to move sees it: the own stones, then the opponent's. So one policy plays both sides. A
move is worth 1 where it wins, and 0 otherwise; what it is worth later is the opponent's to decide
(`Dynamics.alternates`).

The cell of column c and row r, from below, is bit c * (height + 1) + r: one bit above each column stays empty, so that
no line runs on in the next one (Pons 2015, http://blog.gamesolver.org/solving-connect-four/06-bitboard/).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.vectors.batched import Dynamics, Float
from training.errors import UserError, require

Bits = NDArray[np.int64]


@dataclass(frozen=True)
class Board:
    """The rules of a game in which `line` stones in a row win; positions are float64 [2, N], as whole numbers."""

    width: int
    height: int
    line: int
    falls: bool
    """Whether a stone falls to the lowest free cell of its column, which is then the move."""

    @property
    def num_actions(self) -> int:
        return self.width if self.falls else self.width * self.height

    @property
    def cells(self) -> Bits:
        """The bit of each cell, column by column from below: [width * height]."""
        return np.array(
            [1 << column * (self.height + 1) + row for column in range(self.width) for row in range(self.height)]
        )

    def transition(self, state: Float, action: NDArray[Any]) -> tuple[Float, Float, NDArray[np.bool_]]:
        """The position as the other player sees it, whether the move won [N], and whether the game is over."""
        own, other = state.astype(np.int64)
        cells = self.cells
        if self.falls:
            column = cells.reshape(self.width, self.height)[action]
            stone = ((own | other) + column[:, 0]) & column.sum(1)
        else:
            stone = cells[action]
        own = own | stone
        won = self.has_line(own)
        is_over = won | ((own | other) == cells.sum())
        return np.array([other, own], np.float64), won.astype(np.float64), is_over

    def legal(self, state: Float) -> NDArray[np.bool_]:
        """Which moves there are: [N, A]."""
        own, other = state.astype(np.int64)
        cells = self.cells
        ends = cells[self.height - 1 :: self.height] if self.falls else cells
        free: NDArray[np.bool_] = ((own | other)[:, None] & ends) == 0
        return free

    def observe(self, state: Float) -> NDArray[np.float32]:
        """The own stones and the opponent's, cell by cell: [N, 2 * width * height]."""
        own, other = state.astype(np.int64)
        seen = (np.stack([own, other], axis=1)[:, :, None] & self.cells) != 0
        observed: NDArray[np.float32] = seen.reshape(len(own), -1).astype(np.float32)
        return observed

    def state_of(self, observation: NDArray[Any]) -> Float:
        """The positions [2, N] that these observations [N, 2 * width * height] are of."""
        marks = observation.reshape(len(observation), 2, -1).astype(np.float64)
        stones: Float = (marks @ self.cells.astype(np.float64)).T
        return stones

    def has_line(self, stones: Bits) -> NDArray[np.bool_]:
        """Whether there are `line` stones in a row: [N]."""
        found = np.zeros(len(stones), np.bool_)
        for step in (1, self.height, self.height + 1, self.height + 2):
            run = stones
            for place in range(1, self.line):
                run = run & (stones >> place * step)
            found |= run != 0
        return found

    def symmetries(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The K ways to see the same game: which cell [K, width * height] and which move [K, A] takes whose place."""
        grid = np.arange(self.width * self.height).reshape(self.width, self.height)
        turned = [grid]
        if not self.falls and self.width == self.height:
            turned = [np.rot90(grid, quarter) for quarter in range(4)]
        cells = np.array([seen.ravel() for one in turned for seen in (one, one[::-1])])
        moves = np.array([np.arange(self.width), np.arange(self.width)[::-1]]) if self.falls else cells
        return cells, moves

    def after_random_moves(self, generator: np.random.Generator, most: int) -> Float:
        """In half of the games the empty board [2], in the others one after 1 to `most` random moves."""
        state = np.zeros((2, 1))
        if most and generator.random() < 0.5:
            for _ in range(generator.integers(1, most + 1)):
                moves = np.flatnonzero(self.legal(state)[0])
                state, _, _ = self.transition(state, generator.choice(moves, 1))
        return state[:, 0]

    def text(self, state: Float, *, moves: bool = False) -> str:
        """One position [2] for a terminal, the first player's stones as x, on request with the numbers of `moves`."""
        own, other = (np.array([int(stones)]) & self.cells != 0 for stones in state)
        free = np.arange(len(own)).astype(str) if moves and not self.falls else np.full(len(own), ".")
        marks = np.where(own, "x", np.where(other, "o", free)).reshape(self.width, self.height)
        lines = [" ".join(marks[:, row]) for row in reversed(range(self.height))]
        return "\n".join([*lines, " ".join(map(str, range(self.width)))] if moves and self.falls else lines)


TIC_TAC_TOE = Board(width=3, height=3, line=3, falls=False)
CONNECT_FOUR = Board(width=7, height=6, line=4, falls=True)
BOARDS = {"envs.tasks:TicTacToe-v0": TIC_TAC_TOE, "envs.tasks:ConnectFour-v0": CONNECT_FOUR}
"""By the ids of their environments."""


def game(board: Board, *, random_moves: int = 0) -> Dynamics:
    """The dynamics of a game, of which half begin after 1 to `random_moves` moves that nobody chose.

    Raises UserError where so many could end it.
    """
    safe = 2 * (board.line - 1)  # with fewer stones of each there is no line
    require(0 <= random_moves <= safe, "env.kwargs.random_moves", random_moves, f"0 to {safe}: nobody has won by then")
    return Dynamics(
        observation_space=spaces.Box(0, 1, (2 * board.width * board.height,), np.float32),
        action_space=spaces.Discrete(board.num_actions),
        initial_state=lambda generator: board.after_random_moves(generator, random_moves),
        transition=board.transition,
        observe=board.observe,
        legal=board.legal,
        alternates=True,
        max_episode_steps=board.width * board.height,
    )


def no_single_game(**_: object) -> NoReturn:
    """What Gymnasium makes of these ids: it has no word for whose move it is. Raises UserError."""
    raise UserError("env.id: a game of two players in turn is stepped by its batched rules: see ppo_tic_tac_toe")
