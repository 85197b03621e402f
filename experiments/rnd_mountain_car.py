"""PPO with random network distillation drives a weak car up a hill: MountainCar-v0."""

from __future__ import annotations

from dataclasses import dataclass

from agents import on_policy
from agents.actor_critic import ActorCriticConfig
from agents.evaluation import EvaluationConfig
from agents.rnd import RND, RNDConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.optimizer_config import OptimizerConfig
from training.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """The settings of `ppo_mountain_car`, with the bonus and fewer env steps."""

    env: EnvConfig = EnvConfig("MountainCar-v0")
    num_envs: int = 16
    env_steps: int = 100_000
    policy: ActorCriticConfig = ActorCriticConfig(normalize_observation=True)
    scale_reward: bool = True
    agent: RNDConfig = RNDConfig(
        horizon=16,
        minibatch_size=64,
        epochs=4,
        gamma=0.99,
        gae_lambda=0.98,
        clip_range=0.2,
        entropy_coefficient=0.0,
        predictor_fraction=1.0,
        optimizer=OptimizerConfig(learning_rate=3e-4, eps=1e-5, max_grad_norm=0.5),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(10_000))


CLAIMS = (Claim("evaluation/return_mean", ">=", baseline="ppo_mountain_car"),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, RND)
