"""SAC runs as far as Stable-Baselines3's with the same settings: HalfCheetah-v5 in 50,000 steps."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.replay.replay import ReplayConfig
from agents.sac import SAC, SACConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """The paper's settings, as RL Zoo has them, for a twentieth of its env steps: a seed takes some minutes."""

    env: EnvConfig = EnvConfig("HalfCheetah-v5")
    env_steps: int = 50_000
    policy: ActorConfig = ActorConfig()
    replay: ReplayConfig = ReplayConfig(capacity=50_000, warmup_env_steps=10_000)
    agent: SACConfig = SACConfig()
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(10_000), episodes=10, final_episodes=50)
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(10_000))


# The same algorithm: with so few seeds no margin tells it from a somewhat worse one, so there is none.
CLAIMS = (Claim("evaluation/return_mean", ">=", baseline="sac_half_cheetah_sb3"),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, SAC)
