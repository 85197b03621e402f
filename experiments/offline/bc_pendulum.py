"""Behaviour cloning of the better half of a mixed dataset swings a pendulum up: Pendulum-v1, offline."""

from __future__ import annotations

from dataclasses import dataclass

from agents.bc import BCConfig
from agents.policies.actor_critic import ActorCriticConfig
from agents.recipes import cloning
from agents.recipes.cloning import BCRunConfig
from envs.config import EnvConfig
from experiments.offline import record_pendulum
from training.claims import Claim
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(BCRunConfig):
    """A small network, and the half of the episodes with the highest returns.

    Cloning all of them gives about -440 and a tenth -290: on this task the best returns belong to the luckiest starts,
    and a tenth hardly shows how to swing up.
    """

    env: EnvConfig = EnvConfig("Pendulum-v1")
    dataset: str = record_pendulum.MIXED
    epochs: int = 50
    policy: ActorCriticConfig = ActorCriticConfig(network=NetworkConfig(hidden=(64, 64), activation="relu"))
    agent: BCConfig = BCConfig(
        top_fraction=0.5, optimizer=OptimizerConfig(learning_rate=1e-3, schedule=Schedule("linear"))
    )


CLAIMS = (Claim("evaluation/return_over_behaviour", ">=", 200.0),)


def train(config: Config, run: Run) -> None:
    """`cloning.train` reads the dataset and makes the policy; `training.fit` is the loop."""
    record_pendulum.provide(config.dataset)
    cloning.train(config, run)
