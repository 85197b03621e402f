"""PPO drives a weak car up a hill: MountainCar-v0, where nothing is learned before the first success."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor_critic import ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """RL Baselines3 Zoo's settings for this task, with fewer env steps."""

    env: EnvConfig = EnvConfig("MountainCar-v0")
    num_envs: int = 16
    env_steps: int = 500_000
    policy: ActorCriticConfig = ActorCriticConfig(normalize_observation=True)
    scale_reward: bool = True
    agent: PPOConfig = PPOConfig(horizon=16, minibatch_size=64, epochs=4, gamma=0.99, gae_lambda=0.98)
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(50_000))


# RL Baselines3 Zoo lists -110.4 +- 19.5 for one run of 1,000,000 steps; never arriving is -200.
CLAIMS = (Claim("evaluation/return_mean", ">=", -130.0, seeds=10),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
