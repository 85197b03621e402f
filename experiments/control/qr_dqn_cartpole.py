"""QR-DQN balances a pole: CartPole-v1 from the quantiles of returns."""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.q_network import QNetworkConfig
from agents.qr_dqn import QRDQN, QRDQNConfig
from agents.recipes import off_policy
from experiments.control import dqn_cartpole
from training.claims import Claim
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(dqn_cartpole.Config):
    """DQN's settings, with ten quantiles for each action.

    No error is as large as kappa, so that the rare transitions in which the pole falls count by their squares: with
    the paper's 1 they are hidden, and the final policy falls now and then.
    """

    policy: QNetworkConfig = QNetworkConfig(distribution="quantile", atoms=10, normalize_observation=True)
    agent: QRDQNConfig = QRDQNConfig(**vars(dqn_cartpole.SHARED), kappa=100.0)  # type: ignore[assignment]  # another's


# RL Zoo lists 500 for one run, and 386 +- 64 over five seeds.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, QRDQN)
