"""PPO learns tic-tac-toe by playing itself, until no opponent at all beats it: every answer to every move is tried."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.tournament import TournamentConfig
from agents.policies.actor_critic import ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import self_play
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(self_play.SelfPlayConfig):
    """Without openings and with little entropy it never sees what a strange opponent does, and loses to it."""

    env: EnvConfig = EnvConfig("envs.tasks:TicTacToe-v0", kwargs={"random_moves": 4})
    num_envs: int = 256
    env_steps: int = 3_000_000
    policy: ActorCriticConfig = ActorCriticConfig(network=NetworkConfig((128, 128)))
    agent: PPOConfig = PPOConfig(
        horizon=16,
        minibatch_size=1_024,
        epochs=4,
        gamma=1.0,
        entropy_coefficient=0.05,
        optimizer=OptimizerConfig(learning_rate=1e-3, schedule=Schedule("linear"), eps=1e-5, max_grad_norm=0.5),
    )
    evaluation: TournamentConfig = TournamentConfig(
        every=Every(300_000), episodes=200, final_episodes=1_000, lookahead_moves=(0, 2), against_anybody=True
    )
    log_every: Every = Every(50_000)


# 0 is the most that anybody can be sure of: perfect play draws. Development seeds 1 to 3 ended with it, at both seats.
CLAIMS = (Claim("evaluation/worst_case_return", ">=", 0.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`self_play.train` makes games, league and policy; `training.fit` is the loop."""
    self_play.train(config, run, PPO)
