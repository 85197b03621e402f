"""C51 balances a pole: CartPole-v1 from the distribution of returns."""

from __future__ import annotations

from dataclasses import dataclass

from agents.c51 import C51, C51Config
from agents.policies.q_network import QNetworkConfig
from agents.recipes import off_policy
from experiments.control import dqn_cartpole
from training.claims import Claim
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(dqn_cartpole.Config):
    """DQN's settings, with atoms up to the largest discounted return."""

    policy: QNetworkConfig = QNetworkConfig(
        distribution="categorical", atoms=51, value_range=(0.0, 100.0), normalize_observation=True
    )
    agent: C51Config = C51Config(**vars(dqn_cartpole.SHARED))  # type: ignore[assignment]  # another's


# CleanRL lists a training return of 481.2 +- 20.5 after 500,000 steps.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, C51)
