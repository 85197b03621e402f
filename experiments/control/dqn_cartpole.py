"""DQN balances a pole: CartPole-v1 from replayed transitions."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.dqn import DQN, DQNConfig
from agents.policies.q_network import QNetworkConfig
from agents.recipes import off_policy
from agents.replay.replay import ReplayConfig
from agents.updates.q_learning import EpsilonConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.optimizer import OptimizerConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """RL Zoo's settings for twice its env steps; its target is copied once in 256 of them, or 128 gradient steps."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    env_steps: int = 100_000
    policy: QNetworkConfig = QNetworkConfig()
    replay: ReplayConfig = ReplayConfig(
        capacity=100_000, warmup_env_steps=1_000, horizon=256, gradient_steps=128, minibatch_size=64
    )
    agent: DQNConfig = DQNConfig(
        gamma=0.99,
        target_gradient_steps=128,
        epsilon=EpsilonConfig(final=0.04, fraction=0.16),
        optimizer=OptimizerConfig(learning_rate=2.3e-3, max_grad_norm=10.0),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(5_000))


# RL Zoo lists 500 +- 0 after 50,000 steps, in one run; CleanRL a training return of 488.7 after 500,000.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, at="best"),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, DQN)
