"""AlphaZero learns tic-tac-toe by playing itself, until nobody at all beats its network, even without a search."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.tree_search import SearchConfig
from agents.alphazero import AlphaZeroConfig
from agents.policies.actor_critic import ActorCriticConfig
from agents.recipes import planning
from agents.recipes.planning import SearchedTournamentConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(planning.PlanningConfig):
    """Half of the games begin after moves that nobody chose, so that it sees what a strange opponent does."""

    env: EnvConfig = EnvConfig("envs.tasks:TicTacToe-v0", kwargs={"random_moves": 4})
    num_envs: int = 128
    env_steps: int = 200_000
    policy: ActorCriticConfig = ActorCriticConfig(network=NetworkConfig((128, 128), "relu"))
    agent: AlphaZeroConfig = AlphaZeroConfig(
        horizon=8,
        minibatch_size=128,
        epochs=2,
        optimizer=OptimizerConfig(
            "adamw", learning_rate=2e-3, weight_decay=1e-4, schedule=Schedule("linear"), max_grad_norm=1.0
        ),
    )
    search: SearchConfig = SearchConfig(simulations=32)
    evaluation: SearchedTournamentConfig = SearchedTournamentConfig(
        every=Every(50_000), episodes=200, final_episodes=1_000, lookahead_moves=(0, 2), against_anybody=True
    )
    log_every: Every = Every(10_000)


CLAIMS = (Claim("evaluation/worst_case_return", ">=", 0.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`planning.train` makes games, search and policy; `training.fit` is the loop."""
    planning.train(config, run)
