"""AlphaZero learns connect four: its network alone beats who looks two moves ahead, with a search who looks four."""

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

    env: EnvConfig = EnvConfig("envs.tasks:ConnectFour-v0", kwargs={"random_moves": 6})
    num_envs: int = 128
    env_steps: int = 1_200_000
    policy: ActorCriticConfig = ActorCriticConfig(network=NetworkConfig((256, 256), "relu"))
    agent: AlphaZeroConfig = AlphaZeroConfig(
        horizon=16,
        minibatch_size=256,
        epochs=4,
        optimizer=OptimizerConfig(
            "adamw", learning_rate=2e-3, weight_decay=1e-4, schedule=Schedule("linear"), max_grad_norm=1.0
        ),
    )
    search: SearchConfig = SearchConfig(simulations=32, root="puct")
    evaluation: SearchedTournamentConfig = SearchedTournamentConfig(
        every=Every(200_000), episodes=200, final_episodes=200, lookahead_moves=(0, 2), search_lookahead_moves=(4,)
    )
    log_every: Every = Every(20_000)


# Development seed 1 after 800,000 moves: 0.995, 0.78 and 0.855.
CLAIMS = (
    Claim("evaluation/won_random", ">=", 0.97),
    Claim("evaluation/won_lookahead_2", ">=", 0.9),
    Claim("evaluation/searched_points_lookahead_4", ">=", 0.7),
)


def train(config: Config, run: Run) -> None:
    """`planning.train` makes games, search and policy; `training.fit` is the loop."""
    planning.train(config, run)
