"""How many positions a tree search looks at in a CPU second: `python -m benchmarks.costs.tree_search`.

128 games side by side, 32 simulations for each move, and a network of two layers for actor and critic each, which is
part of the cost. Single-threaded; the median of several rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Literal

import numpy as np
import torch

from agents.acting.searcher import Searcher
from agents.acting.tree_search import SearchConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from envs.tasks.board_games import CONNECT_FOUR, TIC_TAC_TOE, Board, game
from training.networks import NetworkConfig
from training.seeding import generator

GAMES, SIMULATIONS, MOVES, ROUNDS = 128, 32, 8, 5
ROOTS: tuple[Literal["gumbel", "puct"], ...] = ("gumbel", "puct")
CASES = (("tic-tac-toe", TIC_TAC_TOE, (128, 128)), ("connect four", CONNECT_FOUR, (256, 256)))


def main(argv: Sequence[str]) -> int:
    """Prints the table; returns the exit code."""
    if argv:
        print(f"error: {' '.join(argv)}: it takes nothing", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    print(f"{'game':>12} {'hidden':>8} {'root':>7} {'positions in a CPU second':>26}")
    for name, board, hidden in CASES:
        for root in ROOTS:
            found = median(simulations_per_second(board, hidden, root) for _ in range(ROUNDS))
            print(f"{name:>12} {'x'.join(map(str, hidden)):>8} {root:>7} {found:>26,.0f}")
    return 0


def simulations_per_second(board: Board, hidden: tuple[int, ...], root: Literal["gumbel", "puct"]) -> float:
    """Of the first moves of many games, from the empty board."""
    rules, rng = game(board), generator(1, "benchmark")
    config = ActorCriticConfig(network=NetworkConfig(hidden, "relu"))
    policy = ActorCritic(rules.observation_space, rules.action_space, config, rng)
    searcher = Searcher(policy, rules, board.state_of, SearchConfig(SIMULATIONS, root=root))
    act = searcher.acting("explore", GAMES)
    empty = np.repeat(rules.initial_state(np.random.default_rng(0))[:, None], GAMES, axis=1)
    state, begun = empty, time.process_time()
    for _ in range(MOVES):
        move = act({"obs": rules.observe(state)}, {}, searcher.noise((GAMES,), rng))[0]["action"]
        state, _, is_over = rules.transition(state, move)
        state = np.where(is_over, empty, state)
    return GAMES * SIMULATIONS * MOVES / (time.process_time() - begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
