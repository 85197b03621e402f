"""The recipe of self-play: an on-policy algorithm that plays both sides of a game, and a league of what it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from agents.acting.collector import Collector, Group, LocalCollector
from agents.acting.league import League, LeagueConfig, LeagueGames
from agents.acting.self_play import SelfPlay
from agents.acting.tournament import Tournament, TournamentConfig
from agents.recipes import on_policy
from agents.recipes.on_policy import MakeAgent
from envs.making import make_vec
from training.errors import require
from training.run.run import Run
from training.seeding import derived_seed


@dataclass(frozen=True, kw_only=True)
class SelfPlayConfig(on_policy.OnPolicyConfig):
    """What is played, by what policy, against whom. The env steps are the moves of the policy that learns."""

    plays_turns: ClassVar[bool] = True
    evaluation: TournamentConfig = TournamentConfig()
    league: LeagueConfig = LeagueConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        takes = "a game of two players in turn, such as envs.tasks:TicTacToe-v0"
        require(self.env.of_turns, "env.id", self.env.id, takes)
        even = (self.num_envs // self.inference_groups) % 2 == 0
        takes = "an even number of games in each group: the policy moves first in every other one"
        require(even, "num_envs", self.num_envs, takes)
        require(self.workers == 0 and self.learners == 1, "workers", self.workers, "0: the league is in this process")
        takes = "False: a reward is won by one player and lost by the other"
        require(not self.scale_reward, "scale_reward", self.scale_reward, takes)


def train(
    config: SelfPlayConfig,
    run: Run,
    make_agent: MakeAgent,
    *,
    collect: Callable[[Callable[[int], Group], int], Collector] = LocalCollector,
    make_tournament: Callable[..., Tournament] = Tournament,
) -> None:
    """One run: the league, and then what every on-policy run is made of."""
    league = League(config.league)
    on_policy.train(
        config,
        run,
        make_agent,
        make_collector=lambda _: _collector(config, league, collect),
        make_evaluation=lambda _config, _run: make_tournament(config.env, config.evaluation, league, seed=config.seed),
        make_stream=partial(SelfPlay, league),
    )


def _collector(
    config: SelfPlayConfig, league: League, collect: Callable[[Callable[[int], Group], int], Collector]
) -> Collector:
    """The games of the config in this process, in its inference groups."""
    size = config.num_envs // config.inference_groups

    def make(index: int) -> Group:
        first, seed = index * size, derived_seed(config.seed, "environments")
        games = make_vec(config.env, size, seed=seed, first_env=first)
        return Group(LeagueGames(games, league, seed=seed, first_env=first), seed=config.seed, index=index)

    return collect(make, config.inference_groups)
