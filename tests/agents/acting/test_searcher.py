"""A policy with a search: it moves by the rules, and what makes it random is drawn apart from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.acting.searcher import Searcher
from agents.acting.tournament import both_seats, lookahead, player
from agents.acting.tree_search import SearchConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from envs.tasks.board_games import CONNECT_FOUR, TIC_TAC_TOE, Board, game
from training.seeding import generator


def searcher(board: Board, **search: Any) -> Searcher:
    rules = game(board)
    policy = ActorCritic(rules.observation_space, rules.action_space, ActorCriticConfig(), generator(1))
    return Searcher(policy, rules, board.state_of, SearchConfig(**search))


@pytest.mark.parametrize("board", [TIC_TAC_TOE, CONNECT_FOUR])
def test_a_search_makes_a_player_of_a_network_that_has_learned_nothing(board: Board) -> None:
    rules, rng = game(board), np.random.default_rng(0)
    own = player(rules, searcher(board, simulations=64, root="puct"), "greedy", generator(0))
    assert both_seats(rules, own, lookahead(rules, 0, rng), 40).mean() > 0.5


@pytest.mark.parametrize("root", ["gumbel", "puct"])
def test_it_draws_allowed_moves_by_its_noise_alone(root: Any) -> None:
    one, rules = searcher(TIC_TAC_TOE, simulations=8, root=root), game(TIC_TAC_TOE)
    state = rules.initial_state(np.random.default_rng(0))[:, None].repeat(64, 1)
    state, _, _ = rules.transition(state, np.full(64, 4))
    assert rules.legal is not None
    step = {"obs": rules.observe(state), "action_mask": rules.legal(state)}
    act, noise = one.acting("explore", 64), one.noise((64,), generator(2))
    first, again = act(step, {}, noise)[0], act(step, {}, noise)[0]
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert len(np.unique(first["action"])) > 2
    assert 4 not in first["action"]
    assert not first["search_policy"][:, 4].any()
    greedy = one.acting("greedy", 64)(step, {}, {})[0]
    assert len(np.unique(greedy["action"])) == 1
    assert list(one.env_action(first)) == ["action"]
