"""PQN plays MinAtar's Breakout: sticky actions, exact seeds, two million env steps."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.q_network import QNetworkConfig
from agents.pqn import PQN, PQNConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.networks import NetworkConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """The settings of the paper's code for MinAtar (purejaxql), for a fifth of its env steps."""

    env: EnvConfig = EnvConfig("MinAtar/Breakout-v1")
    num_envs: int = 128
    env_steps: int = 2_000_000
    policy: QNetworkConfig = QNetworkConfig(network=NetworkConfig(hidden=(), layer_norm=True, cnn="minatar"))
    agent: PQNConfig = PQNConfig()
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(200_000))


# On development seed 1 it ended at 19.8.
CLAIMS = (Claim("evaluation/return_mean", ">=", 12.0),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PQN)
