"""The recipe of learning from a tree search: self-play in which every move is searched for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from agents.acting.league import League, LeagueConfig
from agents.acting.searched_games import SearchedGames
from agents.acting.searcher import Searcher
from agents.acting.tournament import Tournament, TournamentConfig, both_seats, lookahead, player
from agents.acting.tree_search import SearchConfig
from agents.alphazero import AlphaZero, AlphaZeroConfig
from agents.policies.policy import NetworkPolicy
from agents.recipes import self_play
from agents.recipes.self_play import SelfPlayConfig
from envs.config import EnvConfig
from envs.tasks.board_games import BOARDS, game
from training.errors import require
from training.run.run import Run
from training.seeding import derived_seed, generator


@dataclass(frozen=True, kw_only=True)
class SearchedTournamentConfig(TournamentConfig):
    """Measures the network alone as any policy, and at the end of a run the network with a search."""

    search: SearchConfig = SearchConfig(simulations=64)
    search_lookahead_moves: tuple[int, ...] = ()
    """Opponents of the network with a search: how many moves each of them looks ahead."""


@dataclass(frozen=True, kw_only=True)
class PlanningConfig(SelfPlayConfig):
    """What is played and how far each move looks ahead. The members of the league are rated and play without search."""

    agent: AlphaZeroConfig = AlphaZeroConfig()
    search: SearchConfig = SearchConfig()
    league: LeagueConfig = LeagueConfig(self_play=1.0)
    evaluation: SearchedTournamentConfig = SearchedTournamentConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.env.id in BOARDS, "env.id", self.env.id, f"a game whose rules are known: {', '.join(BOARDS)}")


def train(config: PlanningConfig, run: Run) -> None:
    """One run of AlphaZero."""
    collect = partial(
        SearchedGames, search_by=_searcher(config.env, config.search), symmetries=BOARDS[config.env.id].symmetries()
    )
    self_play.train(config, run, AlphaZero, collect=collect, make_tournament=SearchedTournament)


class SearchedTournament(Tournament):
    """A tournament that also measures the policy with a search before each move."""

    def __init__(self, env: EnvConfig, config: SearchedTournamentConfig, league: League, *, seed: int) -> None:
        super().__init__(env, config, league, seed=seed)
        self._search, self._searcher = config, _searcher(env, config.search)

    def final(self, policy: NetworkPolicy) -> dict[str, float]:
        measured = super().final(policy)
        rng = np.random.default_rng(derived_seed(self._seed, "evaluation", "searched"))
        own = player(self._rules, self._searcher(policy), "greedy", generator(0))
        for moves in self._search.search_lookahead_moves:
            results = both_seats(self._rules, own, lookahead(self._rules, moves, rng), self._search.final_episodes)
            measured[f"evaluation/searched_points_lookahead_{moves}"] = float((1 + results).mean() / 2)
        return measured


def _searcher(env: EnvConfig, search: SearchConfig) -> Callable[[Any], Searcher]:
    """Makes of a policy one that looks ahead by the rules of the game."""
    board = BOARDS[env.id]
    rules = game(board)
    return lambda policy: Searcher(policy, rules, board.state_of, search)
