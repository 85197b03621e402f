"""PPO learns to swing a pendulum up and is recorded on the way: the datasets of the offline experiments.

A run has its datasets in its own `datasets/`. Those of the default settings also get their names where datasets lie,
unless these are taken: `regimen/pendulum/expert-v0`, `medium-v0`, `replay-v0` and `mixed-v0`.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting import recorded_datasets
from agents.acting.recorded_datasets import MixtureConfig
from agents.ppo import PPO
from agents.recipes import on_policy
from experiments.control import ppo_pendulum
from training.claims import Claim
from training.core import Every
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run

MIXED = "regimen/pendulum/mixed-v0"
"""What the offline experiments learn from; its mean return is about -508."""


@dataclass(frozen=True, kw_only=True)
class Config(ppo_pendulum.Config):
    """`ppo_pendulum` for two thirds of its env steps, with a checkpoint after every rollout."""

    env_steps: int = 65_536
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(4_096), keep_last=1_000)
    mixture: MixtureConfig = MixtureConfig("regimen/pendulum")


# A policy that knows nothing has about -1200. The expert draws its actions, as all do.
CLAIMS = (
    Claim("expert/return_mean", ">=", -250.0),
    Claim("medium/return_mean", ">=", -1000.0),
    Claim("medium/return_mean", "<=", -400.0),
)


def train(config: Config, run: Run) -> None:
    """Two stages: the learner, and what is recorded of it."""
    recorded_datasets.learn_and_record(
        config, run, lambda learner: on_policy.train(config, learner, PPO), "PPO", default=Config()
    )


def provide(dataset: str) -> None:
    """Makes the datasets of the default settings where one of them is asked for and missing: about a minute."""
    recorded_datasets.provide(dataset, Config().mixture, "record_pendulum", Config(), train)
