"""ReBRAC runs further than TD3+BC from the same mixed dataset: HalfCheetah-v5, offline."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor import ActorConfig
from agents.rebrac import ReBRAC, ReBRACConfig
from agents.recipes import offline_actor_critic
from envs.config import EnvConfig
from experiments.offline import record_half_cheetah, td3_bc_half_cheetah
from training.claims import Claim
from training.networks import NetworkConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(offline_actor_critic.OfflineActorCriticConfig):
    """As many updates of as many samples as `td3_bc_half_cheetah`; the network is the paper's."""

    env: EnvConfig = td3_bc_half_cheetah.Config.env
    dataset: str = td3_bc_half_cheetah.Config.dataset
    epochs: int = td3_bc_half_cheetah.Config.epochs
    policy: ActorConfig = ActorConfig(
        network=NetworkConfig(hidden=(256, 256, 256), activation="relu"),
        distribution="deterministic",
        normalize_observation=True,
    )
    agent: ReBRACConfig = ReBRACConfig(minibatch_size=256)
    evaluation: EvaluationConfig = td3_bc_half_cheetah.Config.evaluation


# To do what the best third of the data does is the strongest cheap rule.
CLAIMS = (
    Claim("evaluation/return_mean", ">=", baseline="td3_bc_half_cheetah", margin=300.0, seeds=5),
    Claim("evaluation/return_mean", ">=", baseline="bc_half_cheetah", seeds=5),
)


def train(config: Config, run: Run) -> None:
    """`offline_actor_critic.train` reads the dataset and makes policy and replay; `training.fit` is the loop."""
    record_half_cheetah.provide(config.dataset)
    offline_actor_critic.train(config, run, ReBRAC)
