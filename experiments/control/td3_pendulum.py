"""TD3 swings a pendulum up: Pendulum-v1 in 20,000 steps."""

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
from training.optimizer import OptimizerConfig
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run

FAST = OptimizerConfig(learning_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """RL Zoo's settings but for the network, which has its other algorithms' size, and a shorter warm-up."""

    env: EnvConfig = EnvConfig("Pendulum-v1")
    env_steps: int = 20_000
    policy: ActorConfig = ActorConfig(distribution="deterministic", noise_std=0.1)
    replay: ReplayConfig = ReplayConfig(capacity=30_000, warmup_env_steps=1_000)
    agent: TD3Config = TD3Config(gamma=0.98, actor_optimizer=FAST, critic_optimizer=FAST)
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(5_000))
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(5_000))


# RL Zoo lists -151.9 +- 90.2 after 20,000 steps.
CLAIMS = (Claim("evaluation/return_mean", ">=", -170.0, seeds=10),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, TD3)
