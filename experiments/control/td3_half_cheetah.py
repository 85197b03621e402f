"""TD3 runs: HalfCheetah-v5 in 50,000 steps."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.replay.replay import ReplayConfig
from agents.td3 import TD3, TD3Config
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """The paper's settings, with its published code's step size, for a twentieth of its env steps."""

    env: EnvConfig = EnvConfig("HalfCheetah-v5")
    env_steps: int = 50_000
    policy: ActorConfig = ActorConfig(distribution="deterministic", noise_std=0.1)
    replay: ReplayConfig = ReplayConfig(capacity=50_000, warmup_env_steps=10_000)
    agent: TD3Config = TD3Config()
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(10_000), episodes=10, final_episodes=50)
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(10_000))


# Far below where published curves are after a twentieth of their steps: it runs at all.
CLAIMS = (Claim("evaluation/return_mean", ">=", 1_000.0),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, TD3)
