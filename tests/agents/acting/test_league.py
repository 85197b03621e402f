"""A league: members stay as they were, hard ones are drawn more often, and their moves are not learned from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.acting.league import ITSELF, League, LeagueConfig, LeagueGames
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from envs.config import EnvConfig
from envs.making import make_vec
from training.errors import UserError
from training.seeding import generator

GAME = EnvConfig("envs.tasks:TicTacToe-v0")


def make_policy() -> ActorCritic:
    vec = make_vec(GAME, 2, seed=1)
    return ActorCritic(vec.observation_space, vec.action_space, ActorCriticConfig(), generator(1))


def test_a_member_does_not_move_with_the_learner() -> None:
    league, policy = League(LeagueConfig()), make_policy()
    league.admit(policy, 1)
    before = {key: value.clone() for key, value in policy.state_dict().items()}
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(1.0)
    member = league.members[0].policy.state_dict()
    assert all(torch.equal(member[key], before[key]) for key in before)


def test_who_is_hard_is_drawn_more_often() -> None:
    league, policy = League(LeagueConfig(self_play=0.5)), make_policy()
    assert set(league.draw(50, generator(1)).tolist()) == {ITSELF}
    league.admit(policy, 1)
    league.admit(policy, 2)
    for _ in range(200):
        league.report(0, 1.0)
        league.report(1, 0.0)
    drawn = league.draw(2_000, generator(1))
    assert 900 < (drawn == ITSELF).sum() < 1_100
    assert (drawn == 1).sum() > 100 * max(1, (drawn == 0).sum())


def games(league: League) -> LeagueGames:
    return LeagueGames(make_vec(GAME, 4, seed=3), league, seed=3, first_env=0)


def test_moves_of_members_are_not_valid_and_a_state_meets_the_same_opponents() -> None:
    league = League(LeagueConfig(self_play=0.0))
    league.admit(make_policy(), 1)
    vec, rng = games(league), np.random.default_rng(0)
    step, valid = vec.reset(), []

    def play(vec: LeagueGames, step: object, rng: np.random.Generator) -> object:
        mask = step.action_mask  # type: ignore[attr-defined]
        return vec.step({"action": np.array([rng.choice(np.flatnonzero(row)) for row in mask])})

    for _ in range(7):
        step = play(vec, step, rng)
        valid.append(step.valid)
    assert np.array(valid).mean() == pytest.approx(0.5, abs=0.1)
    assert valid[0].tolist() == [True, False, True, False]

    saved, own = vec.state_dict(), league.state_dict()
    other_league = League(LeagueConfig(self_play=0.0))
    other_league.load_state_dict(own)
    other = games(other_league)
    other.reset()
    other.load_state_dict(saved)
    one, two = np.random.default_rng(5), np.random.default_rng(5)
    again = other.current()
    for _ in range(12):
        step, again = play(vec, step, one), play(other, again, two)
        np.testing.assert_array_equal(step.obs["obs"], again.obs["obs"])
        np.testing.assert_array_equal(step.valid, again.valid)


def test_impossible_numbers_are_named() -> None:
    with pytest.raises(UserError, match=r"self_play = 2: it takes a number from 0 to 1"):
        LeagueConfig(self_play=2)
