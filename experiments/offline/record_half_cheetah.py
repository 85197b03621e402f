"""PPO learns to run in MuJoCo and is recorded on the way: the datasets of the offline experiments on HalfCheetah-v5.

A run has its datasets in its own `datasets/`. Those of the default settings also get their names where datasets lie,
unless these are taken: `regimen/half_cheetah/expert-v0`, `medium-v0`, `replay-v0` and `mixed-v0`.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting import recorded_datasets
from agents.acting.recorded_datasets import MixtureConfig
from experiments.control import ppo_half_cheetah
from training.claims import Claim
from training.core import Every
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run

MIXED = "regimen/half_cheetah/mixed-v0"
"""What the offline experiments learn from."""
MEDIUM = "regimen/half_cheetah/medium-v0"
"""What an agent has from the start that learns in the environment as well."""


@dataclass(frozen=True, kw_only=True)
class Config(ppo_half_cheetah.Config):
    """`ppo_half_cheetah` with a checkpoint after every 25,000 env steps."""

    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(25_000), keep_last=1_000)
    mixture: MixtureConfig = MixtureConfig("regimen/half_cheetah", episodes=50, replay_episodes=5)


# A policy that knows nothing has about -300. The expert draws its actions, as all do.
CLAIMS = (
    Claim("expert/return_mean", ">=", 2_500.0),
    Claim("medium/return_mean", ">=", 500.0),
    Claim("medium/return_mean", "<=", 2_500.0),
)


def train(config: Config, run: Run) -> None:
    """Two stages: the learner, and what is recorded of it."""
    recorded_datasets.learn_and_record(
        config, run, lambda learner: ppo_half_cheetah.train(config, learner), "PPO", default=Config()
    )


def provide(dataset: str) -> None:
    """Makes the datasets of the default settings where one of them is asked for and missing: some minutes."""
    recorded_datasets.provide(dataset, Config().mixture, "record_half_cheetah", Config(), train)
