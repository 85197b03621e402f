"""CrossQ runs as a half cheetah: with half the env steps of SAC."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.crossq import CrossQ, CrossQConfig
from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.replay.replay import ReplayConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """The paper's settings, with critics of 256 instead of 2,048 and a shorter warm-up."""

    env: EnvConfig = EnvConfig("HalfCheetah-v5")
    env_steps: int = 25_000
    policy: ActorConfig = ActorConfig(renormalized=True)
    replay: ReplayConfig = ReplayConfig(capacity=25_000, warmup_env_steps=1_000)
    agent: CrossQConfig = CrossQConfig()
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(5_000), episodes=10, final_episodes=50)
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(5_000))


# SAC's seeds have twice as many env steps.
CLAIMS = (Claim("evaluation/return_mean", ">=", baseline="sac_half_cheetah", margin=300.0),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, CrossQ)
