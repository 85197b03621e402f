"""Thompson sampling learns which of ten arms pays most: the smallest case of the loop."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.bandits import BanditPolicyConfig
from agents.recipes import bandits
from agents.recipes.bandits import BanditRunConfig
from envs.tasks.bandits import PROBABILITIES
from training.claims import Claim
from training.core import Every
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(BanditRunConfig):
    """The arms are those of Auer et al. 2002, distribution 12: they pay with 0.6 to 0.8, and the best one with 0.9."""

    policy: BanditPolicyConfig = BanditPolicyConfig("thompson")
    env_steps: int = 10_000
    evaluation: EvaluationConfig = EvaluationConfig(
        every=Every(1_000), num_envs=100, episodes=1_000, final_episodes=10_000
    )


# The expected reward lost by all pulls together, and whether the arm that it ends with is the best.
CLAIMS = (
    Claim("training/regret", "<=", baseline="bandit_bernoulli_epsilon_greedy"),
    Claim("training/regret", "<=", baseline="bandit_bernoulli_ucb1"),
    Claim("evaluation/return_mean", ">=", max(PROBABILITIES), margin=-0.02),
)


def train(config: Config, run: Run) -> None:
    """`bandits.train` makes environment and policy; `training.fit` is the loop."""
    bandits.train(config, run)
