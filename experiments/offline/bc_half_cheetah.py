"""Behaviour cloning of the best third of a mixed dataset runs in MuJoCo: HalfCheetah-v5, offline."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.bc import BCConfig
from agents.policies.actor_critic import ActorCriticConfig
from agents.recipes import cloning
from agents.recipes.cloning import BCRunConfig
from envs.config import EnvConfig
from experiments.offline import record_half_cheetah
from training.claims import Claim
from training.core import Every
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(BCRunConfig):
    """As many episodes as the expert has in the mixture."""

    env: EnvConfig = EnvConfig("HalfCheetah-v5")
    dataset: str = record_half_cheetah.MIXED
    epochs: int = 100
    policy: ActorCriticConfig = ActorCriticConfig(
        network=NetworkConfig(hidden=(256, 256), activation="relu"), normalize_observation=True
    )
    agent: BCConfig = BCConfig(
        top_fraction=1 / 3,
        minibatch_size=256,
        optimizer=OptimizerConfig(learning_rate=1e-3, schedule=Schedule("linear")),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(10, "epochs"), episodes=5, final_episodes=50)


CLAIMS = (Claim("evaluation/return_over_behaviour", ">=", 500.0, seeds=5),)


def train(config: Config, run: Run) -> None:
    """`cloning.train` reads the dataset and makes the policy; `training.fit` is the loop."""
    record_half_cheetah.provide(config.dataset)
    cloning.train(config, run)
