"""QR-DQN balances a pole: CartPole-v1 from the quantiles of returns."""

from __future__ import annotations

from dataclasses import dataclass

from agents import off_policy
from agents.evaluation import EvaluationConfig
from agents.q_learning import EpsilonConfig
from agents.q_network import QNetworkConfig
from agents.qr_dqn import QRDQN, QRDQNConfig
from agents.replay import ReplayConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.optimizer_config import OptimizerConfig
from training.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """RL Zoo's settings, DQN's with ten quantiles for each action."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    env_steps: int = 100_000
    policy: QNetworkConfig = QNetworkConfig(distribution="quantile", atoms=10)
    replay: ReplayConfig = ReplayConfig(
        capacity=100_000, warmup_env_steps=1_000, horizon=256, gradient_steps=128, minibatch_size=64
    )
    agent: QRDQNConfig = QRDQNConfig(
        gamma=0.99,
        target_gradient_steps=128,
        epsilon=EpsilonConfig(final=0.04, fraction=0.16),
        optimizer=OptimizerConfig(learning_rate=2.3e-3, max_grad_norm=10.0),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(5_000))


# RL Zoo lists 500 for one run, and 386 +- 64 over five seeds.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, at="best"),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, QRDQN)
