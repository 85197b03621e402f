"""Thompson sampling learns which of ten arms pays most: the smallest case of the loop."""

from __future__ import annotations

import math
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


def least_regret(pulls: int) -> float:
    """The expected reward that every good rule loses in the long run, by Lai and Robbins 1985, theorem 2."""
    best = max(PROBABILITIES)
    others = [paid for paid in PROBABILITIES if paid < best]
    return math.log(pulls) * sum((best - paid) / _divergence(paid, best) for paid in others)


def _divergence(one: float, other: float) -> float:
    """Kullback and Leibler's, of two arms."""
    return one * math.log(one / other) + (1 - one) * math.log((1 - one) / (1 - other))


# The expected reward lost by all pulls together: 125 in the long run, of which a good rule has lost less by then.
CLAIMS = (
    Claim("training/regret", "<=", round(least_regret(Config().env_steps), 1), seeds=10),
    Claim("training/regret", "<=", baseline="bandit_bernoulli_epsilon_greedy", seeds=10),
    Claim("training/regret", "<=", baseline="bandit_bernoulli_ucb1", seeds=10),
)


def train(config: Config, run: Run) -> None:
    """`bandits.train` makes environment and policy; `training.fit` is the loop."""
    bandits.train(config, run)
