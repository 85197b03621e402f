"""UCB1 on the ten arms of `bandit_bernoulli`, whose baseline it is."""

from __future__ import annotations

from dataclasses import dataclass

from agents.bandits import BanditPolicyConfig
from agents.recipes import bandits
from experiments.exploration import bandit_bernoulli
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(bandit_bernoulli.Config):
    """UCB1 has nothing to choose."""

    policy: BanditPolicyConfig = BanditPolicyConfig("ucb1")


CLAIMS = ()  # it is there to be compared with


def train(config: Config, run: Run) -> None:
    """As there."""
    bandits.train(config, run)
