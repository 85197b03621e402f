"""A run of AlphaZero: it ends with the measures of the network with and without a search."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.acting.tree_search import SearchConfig
from agents.alphazero import AlphaZeroConfig
from agents.policies.saved import load_policy
from agents.recipes import planning
from agents.recipes.planning import PlanningConfig, SearchedTournamentConfig
from envs.config import EnvConfig
from training.errors import UserError
from training.run.run import Run

SHORT = SearchedTournamentConfig(
    episodes=4, final_episodes=4, pair_games=2, search=SearchConfig(4), search_lookahead_moves=(1,)
)


def test_a_run_measures_the_network_alone_and_with_a_search(tmp_path: Path) -> None:
    given = PlanningConfig(
        env=EnvConfig("envs.tasks:TicTacToe-v0"), agent=AlphaZeroConfig(minibatch_size=64), env_steps=256, num_envs=8,
        search=SearchConfig(4), evaluation=SHORT, device="cpu",
    )  # fmt: skip
    with Run.create("example", given, folder=tmp_path / "run", tracker="none") as run:
        planning.train(given, run)
    measured = run.result["metrics"]
    assert 0 <= measured["evaluation/searched_points_lookahead_1"] <= 1
    assert {"evaluation/elo", "evaluation/won_random", "evaluation/lost_lookahead_2"} <= set(measured)
    assert type(load_policy(tmp_path / "run")).__name__ == "ActorCritic"


def test_a_game_without_known_rules_is_named() -> None:
    with pytest.raises(UserError, match=r"env\.id"):
        PlanningConfig(env=EnvConfig("CartPole-v1"), agent=AlphaZeroConfig(minibatch_size=128))
