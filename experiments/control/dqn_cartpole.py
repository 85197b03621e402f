"""DQN balances a pole: CartPole-v1 from replayed transitions."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.dqn import DQN, DQNConfig
from agents.policies.q_network import QNetworkConfig
from agents.recipes import off_policy
from agents.replay.replay import ReplayConfig
from agents.updates.q_learning import EpsilonConfig, QLearningConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

SHARED = QLearningConfig(
    gamma=0.99,
    target_gradient_steps=128,
    epsilon=EpsilonConfig(final=0.04, fraction=0.16),
    optimizer=OptimizerConfig(learning_rate=1e-3, schedule=Schedule(kind="linear")),
)


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """RL Zoo's replay and exploration for twice its env steps; what is learned is ours, so that the final policy holds.

    Nothing is clipped: returns are up to 100, and a clipped error or gradient hides the few transitions in which the
    pole falls. Angles are 10 times as small as speeds, so observations are normalized. The step size falls to 0.
    """

    env: EnvConfig = EnvConfig("CartPole-v1")
    env_steps: int = 100_000
    policy: QNetworkConfig = QNetworkConfig(normalize_observation=True)
    replay: ReplayConfig = ReplayConfig(
        capacity=100_000, warmup_env_steps=1_000, horizon=256, gradient_steps=128, minibatch_size=64
    )
    agent: DQNConfig = DQNConfig(**vars(SHARED), error_clip=None)
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(5_000))


# RL Zoo lists 500 +- 0 after 50,000 steps, in one run; CleanRL a training return of 488.7 after 500,000.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, DQN)
