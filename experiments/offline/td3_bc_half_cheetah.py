"""TD3+BC runs in MuJoCo from a mixed dataset: HalfCheetah-v5, offline."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor import ActorConfig
from agents.recipes import offline_actor_critic
from agents.td3_bc import TD3BC, TD3BCConfig
from envs.config import EnvConfig
from experiments.offline import record_half_cheetah
from training.claims import Claim
from training.core import Every
from training.optimizer import OptimizerConfig
from training.run.run import Run

FAST = OptimizerConfig(learning_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class Config(offline_actor_critic.OfflineActorCriticConfig):
    """The paper's settings with three times its step size, for a twenty-fifth of its updates."""

    env: EnvConfig = EnvConfig("HalfCheetah-v5")
    dataset: str = record_half_cheetah.MIXED
    epochs: int = 50
    policy: ActorConfig = ActorConfig(distribution="deterministic", normalize_observation=True)
    agent: TD3BCConfig = TD3BCConfig(actor_optimizer=FAST, critic_optimizer=FAST)
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(10, "epochs"), episodes=5, final_episodes=50)


CLAIMS = (Claim("evaluation/return_over_behaviour", ">=", 500.0, seeds=5),)


def train(config: Config, run: Run) -> None:
    """`offline_actor_critic.train` reads the dataset and makes policy and replay; `training.fit` is the loop."""
    record_half_cheetah.provide(config.dataset)
    offline_actor_critic.train(config, run, TD3BC)
