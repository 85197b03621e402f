"""Players that look some moves ahead in a game of two who move in turn, by its rules; many positions at once.

With a depth of 0 a move is drawn at random, with 1 a move that wins is taken, with 2 one after which the opponent wins
is avoided too, and so on: minimax (von Neumann 1928), in which all is worth 0 that is decided later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from envs.vectors.batched import Dynamics, Float

Choose: TypeAlias = "Callable[[Float], NDArray[Any]]"
"""Positions [S, N] -> moves [N]."""


def move_values(rules: Dynamics, state: Float, depth: int) -> Float:
    """What each move is worth to who is to move, [N, A]: 1 wins, -1 loses; minus infinity where it is not allowed."""
    assert rules.legal is not None, "a game tells its legal moves"
    allowed = rules.legal(state)
    values = np.where(allowed, 0.0, -np.inf)
    row, move = allowed.nonzero()
    if depth == 0 or not len(row):
        return values
    after, reward, is_over = rules.transition(state[:, row], move)
    worth = reward
    if depth > 1 and (go_on := ~is_over).any():
        worth[go_on] -= move_values(rules, after[:, go_on], depth - 1).max(1)
    values[row, move] = worth
    return values


def chosen_moves(rules: Dynamics, state: Float, depth: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """One of the best moves for each position, [N], drawn where there are several."""
    values = move_values(rules, state, depth)
    is_best = values == values.max(1, keepdims=True)
    drawn: NDArray[np.int64] = np.where(is_best, rng.random(values.shape), -1.0).argmax(1)
    return drawn


def worst_case(rules: Dynamics, choose: Choose, *, moves_first: bool) -> float:
    """The least that a player gets against any opponent at all, from the first position on: 1 wins, 0 draws, -1 loses.

    Every answer of the opponent to every move is tried, so the game must be a small one. `choose` gives the player's
    moves [N] for positions [S, N]; it always does the same on the same position.
    """
    state = rules.initial_state(np.random.default_rng(0))[:, None]
    return float(_least(rules, choose, state, own_move=moves_first)[0])


def _least(rules: Dynamics, choose: Choose, state: Float, *, own_move: bool) -> Float:
    """The least that the player gets from each position [S, N] on."""
    state, where = np.unique(state, axis=1, return_inverse=True)
    assert rules.legal is not None, "a game tells its legal moves"
    if own_move:
        row, move = np.arange(state.shape[1]), choose(state)
    else:
        row, move = rules.legal(state).nonzero()
    after, reward, is_over = rules.transition(state[:, row], move)
    gets = reward if own_move else -reward
    if (go_on := ~is_over).any():
        gets[go_on] = _least(rules, choose, after[:, go_on], own_move=not own_move)
    least = np.full(state.shape[1], np.inf)
    np.minimum.at(least, row, gets)
    return least[where.ravel()]
