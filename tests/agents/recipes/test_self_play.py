"""A run of self-play: it ends with its measures, and a config that cannot be played is one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.acting.tournament import TournamentConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import self_play
from agents.recipes.on_policy import OnPolicyConfig
from agents.recipes.self_play import SelfPlayConfig
from envs.config import EnvConfig
from training.errors import UserError
from training.run.run import Run

SHORT = TournamentConfig(episodes=4, final_episodes=4, pair_games=2, against_anybody=True)


def config(**changes: Any) -> SelfPlayConfig:
    given: dict[str, Any] = {"agent": PPOConfig(horizon=16, minibatch_size=64), "env_steps": 256, "num_envs": 8}
    env = EnvConfig("envs.tasks:TicTacToe-v0")
    return SelfPlayConfig(**{"env": env, "evaluation": SHORT, "device": "cpu", **given, **changes})


def test_a_run_measures_both_seats_against_anybody(tmp_path: Path) -> None:
    given = config()
    with Run.create("example", given, folder=tmp_path / "run", tracker="none") as run:
        self_play.train(given, run, PPO)
    measured = run.result["metrics"]
    assert measured["evaluation/worst_case_return"] in (-1.0, 0.0)
    assert {"evaluation/elo", "evaluation/won_random", "evaluation/lost_lookahead_2"} <= set(measured)


def test_what_cannot_be_played_is_named() -> None:
    with pytest.raises(UserError, match="num_envs = 7: it takes an even number of games in each group"):
        config(num_envs=7, agent=PPOConfig(horizon=16, minibatch_size=16))
    with pytest.raises(UserError, match="a game of two players in turn, such as"):
        config(env=EnvConfig("CartPole-v1"))
    with pytest.raises(UserError, match="scale_reward = True"):
        replace(config(), scale_reward=True)
    with pytest.raises(UserError, match="not a game of two players in turn: ppo_tic_tac_toe shows"):
        OnPolicyConfig(agent=PPOConfig(), env=EnvConfig("envs.tasks:TicTacToe-v0"))
