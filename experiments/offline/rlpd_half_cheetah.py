"""SAC with half of each minibatch from a dataset (RLPD) runs after 20,000 steps: HalfCheetah-v5."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.replay.replay import ReplayConfig
from agents.sac import SAC, SACConfig
from envs.config import EnvConfig
from experiments.offline import record_half_cheetah
from training.claims import Claim
from training.core import Every
from training.networks import NetworkConfig
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """Ball et al. 2023 (https://arxiv.org/abs/2302.02948): symmetric sampling and layer normalization in the critics.

    Theirs takes 20 gradient steps for each env step and the smallest value of two critics out of ten; this one takes
    two gradient steps and has two critics.
    """

    env: EnvConfig = EnvConfig("HalfCheetah-v5")
    env_steps: int = 20_000
    dataset: str | None = record_half_cheetah.MEDIUM
    policy: ActorConfig = ActorConfig()
    replay: ReplayConfig = ReplayConfig(capacity=25_000, warmup_env_steps=1_000, gradient_steps=2)
    agent: SACConfig = SACConfig(
        critic_network=NetworkConfig(hidden=(256, 256), activation="relu", layer_norm=True),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(5_000), episodes=5, final_episodes=50)
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(5_000))


# The same without the data, and the data without the environment.
CLAIMS = (
    Claim("evaluation/return_mean", ">=", baseline="rlpd_half_cheetah_without_data", margin=1_000.0, seeds=5),
    Claim("evaluation/return_mean", ">=", baseline="bc_half_cheetah_medium", margin=500.0, seeds=5),
)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    if config.dataset is not None:
        record_half_cheetah.provide(config.dataset)
    off_policy.train(config, run, SAC)
