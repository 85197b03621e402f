"""Play a game of two against the policy of a run, here in the terminal, or let it play another run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commands.command_line import first_run, print_help, wants_help
from envs.tasks.board_games import BOARDS, Board, game
from training.errors import UserError, require
from training.experiments import read_run
from training.options import parse_options
from training.run.folder import find_checkpoint
from training.seeding import derived_seed, generator

TAKES = "RUN"
NAMES = ("x", "o")
"""Of who moves first and second."""


@dataclass(frozen=True)
class Options:
    """Who plays whom."""

    against: str = "person"
    """person: you; random; lookahead:N, who sees N moves ahead; or the folder of another run."""
    games: int = 1
    """Who begins changes from game to game. More than one against a player that is no person are only counted."""
    second: bool = False
    """The other one, or you, has the first move of the first game."""
    simulations: int = 0
    """Positions that a run's policy looks at before each move; 0: its network alone."""
    seed: int = 1
    """Of moves that are drawn at random."""


def main(argv: Sequence[str], package: str) -> int:
    """Plays a game of two with the policy of a run: x has the first move. Moves are numbers, q ends it."""
    if wants_help(argv):
        return print_help("match RUN", main.__doc__, Options())
    folder = first_run(argv, "match")
    (options,) = parse_options(argv[1:], Options())
    require(options.games >= 1, "games", options.games, "at least 1")
    require(options.simulations >= 0, "simulations", options.simulations, "at least 0")
    require(options.seed >= 0, "seed", options.seed, "an integer of at least 0")
    game_id, board = _game_of(folder, package)
    other = _other(options, game_id, board, package)

    from agents.acting.tournament import both_seats

    own = _player(folder, board, options.simulations)
    if other is not None and options.games > 1:
        require(options.games % 2 == 0, "games", options.games, "an even number: each begins half of them")
        results = both_seats(game(board), own, other, options.games)
        counts = [int(np.count_nonzero(results == result)) for result in (1, 0, -1)]
        print(f"{folder} against {options.against}: {counts[0]} won, {counts[1]} drawn, {counts[2]} lost")
        return 0
    for number in range(options.games):
        begins = options.second == bool(number % 2)
        players = [own, other] if begins else [other, own]
        result = _play(board, players)
        if result is None:
            return 0
        mark = NAMES[0 if begins else 1]
        told = {1.0: "won", 0.0: "drew", -1.0: "lost"}[result if begins else -result]
        print(f"the run ({mark}) {told}")
    return 0


def _game_of(folder: Path, package: str) -> tuple[str, Board]:
    """The game that a run plays; raises UserError for one that plays none."""
    _, _, config = read_run(folder, package)
    env = getattr(config, "env", None)
    if env is None or env.id not in BOARDS:
        raise UserError(f"{folder} plays no game of two on a board, which are {', '.join(BOARDS)}")
    return env.id, BOARDS[env.id]


def _other(options: Options, game_id: str, board: Board, package: str) -> Callable[[Any], Any] | None:
    """Who plays against the run; None: a person. Raises UserError for one who cannot."""
    from agents.acting.tournament import lookahead

    rng = np.random.default_rng(derived_seed(options.seed, "match"))
    kind, _, depth = options.against.partition(":")
    if options.against == "person":
        return None
    if options.against == "random":
        return lookahead(game(board), 0, rng)
    if kind == "lookahead":
        takes = "person, random, lookahead:N with N from 1 to 6, or the folder of a run"
        require(depth.isdecimal() and 1 <= int(depth) <= 6, "against", options.against, takes)
        return lookahead(game(board), int(depth), rng)
    folder = first_run([options.against], "match")
    other_id, _ = _game_of(folder, package)
    require(other_id == game_id, "against", options.against, f"a run that plays {game_id}, not {other_id}")
    return _player(folder, board, options.simulations)


def _player(folder: Path, board: Board, simulations: int) -> Callable[[Any], Any]:
    """The newest policy of a run as a player, which looks ahead where it is asked to."""
    from agents.acting.searcher import Searcher
    from agents.acting.tournament import player
    from agents.acting.tree_search import SearchConfig
    from agents.policies.saved import policy_at

    policy: Any = policy_at(find_checkpoint(folder, "last"))
    if simulations:
        policy = Searcher(policy, game(board), board.state_of, SearchConfig(simulations, root="puct"))
    return player(game(board), policy, "greedy", generator(0))


def _play(board: Board, players: Sequence[Callable[[Any], Any] | None]) -> float | None:
    """One game, shown: what it brought the first player; None where the person went away."""
    rules = game(board)
    state = rules.initial_state(np.random.default_rng(0))[:, None]
    moves = 0
    while True:
        turn = moves % 2
        mover = players[turn]
        print(_shown(board, state, moves, numbered=mover is None))
        if mover is None:
            asked = _asked(board, state, NAMES[turn])
            if asked is None:
                return None
            action = np.array([asked])
        else:
            action = mover(state)
            print(f"{NAMES[turn]}: {int(action[0])}")
        state, reward, is_over = rules.transition(state, action)
        moves += 1
        if is_over[0]:
            print(_shown(board, state, moves))
            return float(reward[0]) if turn == 0 else -float(reward[0])


def _shown(board: Board, state: NDArray[np.float64], moves: int, *, numbered: bool = False) -> str:
    """The position [2, 1] after so many moves, under an empty line: who began has x, whoever is to move."""
    first = state[:, 0] if moves % 2 == 0 else state[::-1, 0]
    return f"\n{board.text(first, moves=numbered)}"


def _asked(board: Board, state: NDArray[np.float64], name: str) -> int | None:
    """A move of the person at the terminal, asked for until it is one; None: they want no more."""
    allowed = np.flatnonzero(board.legal(state)[0]).tolist()
    while True:
        print(f"{name} (you): ", end="", flush=True)
        line = sys.stdin.readline()
        if not line or line.strip().lower() == "q":
            print()
            return None
        if line.strip().isdecimal() and int(line) in allowed:
            return int(line)
        print(f"moves are {', '.join(map(str, allowed))}; q ends the game")
