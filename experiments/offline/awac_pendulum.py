"""AWAC swings a pendulum up from a mixed dataset: it imitates what is better than its own actions."""

from __future__ import annotations

from dataclasses import dataclass

from agents.awac import AWAC, AWACConfig
from agents.policies.actor import ActorConfig
from agents.recipes import offline_actor_critic
from envs.config import EnvConfig
from experiments.offline import record_pendulum
from training.claims import Claim
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run

NETWORK = NetworkConfig(hidden=(64, 64), activation="relu")
FAST = OptimizerConfig(learning_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class Config(offline_actor_critic.OfflineActorCriticConfig):
    """Small networks; a tenth of CORL's inverse temperature, as rewards are larger here."""

    env: EnvConfig = EnvConfig("Pendulum-v1")
    dataset: str = record_pendulum.MIXED
    epochs: int = 20
    policy: ActorConfig = ActorConfig(network=NETWORK)
    agent: AWACConfig = AWACConfig(
        gamma=0.98,
        inverse_temperature=0.1,
        critic_network=NETWORK,
        actor_optimizer=FAST,
        critic_optimizer=FAST,
    )


# The strongest cheap rule: to do what the data does, which is played by better and worse policies.
CLAIMS = (Claim("evaluation/return_mean", ">=", baseline="bc_pendulum", seeds=10),)


def train(config: Config, run: Run) -> None:
    """`offline_actor_critic.train` reads the dataset and makes policy and replay; `training.fit` is the loop."""
    record_pendulum.provide(config.dataset)
    offline_actor_critic.train(config, run, AWAC)
