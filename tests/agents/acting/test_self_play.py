"""Self-play as a stream: the league grows as it is asked to, and a saved stream goes on to the bit."""

from __future__ import annotations

import copy

import torch

from agents.acting.collector import Group, LocalCollector
from agents.acting.league import League, LeagueConfig, LeagueGames
from agents.acting.self_play import SelfPlay
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from envs.config import EnvConfig
from envs.making import make_vec
from training.core import Counters
from training.seeding import generator

GAME = EnvConfig("envs.tasks:TicTacToe-v0", kwargs={"random_moves": 2})


def make_stream() -> SelfPlay:
    league = League(LeagueConfig(every_updates=2))
    collector = LocalCollector(
        lambda index: Group(LeagueGames(make_vec(GAME, 4, seed=3), league, seed=3, first_env=0), seed=1, index=index)
    )
    spaces = collector.observation_space, collector.action_space
    return SelfPlay(league, collector, ActorCritic(*spaces, ActorCriticConfig(), generator(1)), 8)


def test_the_policy_joins_the_league_now_and_then_and_a_state_continues_to_the_bit() -> None:
    first, second = make_stream(), make_stream()
    now, members = Counters(), []
    for _ in range(5):
        batch, after, metrics = first.next(now)
        assert batch["opponent_next"].shape == (8, 4)
        members.append(int(metrics["league/members"].value))
        now = after.advance(updates=1)
    assert members == [0, 0, 1, 1, 2]
    saved = copy.deepcopy(first.state_dict())
    second.next(Counters())
    second.load_state_dict(saved)
    for _ in range(3):
        one, after, _ = first.next(now)
        two, _, _ = second.next(now)
        now = after.advance(updates=1)
        assert all(torch.equal(one[key], two[key]) for key in one)
