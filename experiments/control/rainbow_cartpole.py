"""Rainbow balances a pole: CartPole-v1 with six additions to DQN at once."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.c51 import C51, C51Config
from agents.policies.q_network import QNetworkConfig
from agents.recipes import off_policy
from agents.replay.replay import ReplayConfig
from agents.updates.q_learning import EpsilonConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """Double, dueling, noisy, distributional, returns of three steps and priorities, with the numbers of Hessel et al.
    2018, table 1, for these; network, step size and target are for a small task."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    env_steps: int = 100_000
    policy: QNetworkConfig = QNetworkConfig(
        network=NetworkConfig(hidden=(128, 128), activation="relu"),
        distribution="categorical",
        atoms=51,
        value_range=(0.0, 100.0),
        dueling=True,
        noisy_std=0.5,
    )
    replay: ReplayConfig = ReplayConfig(
        capacity=100_000,
        warmup_env_steps=1_000,
        horizon=4,
        minibatch_size=64,
        n_step=3,
        priority_exponent=0.5,
        importance_exponent=0.4,
    )
    agent: C51Config = C51Config(
        gamma=0.99,
        double=True,
        target_gradient_steps=250,
        # The noise on the weights explores alone.
        epsilon=EpsilonConfig(initial=0.0, final=0.0),
        optimizer=OptimizerConfig(learning_rate=5e-4, max_grad_norm=10.0),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(5_000))


# SLM-Lab lists a training return of 451.5 for double DQN with priorities after 200,000 steps.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, C51)
