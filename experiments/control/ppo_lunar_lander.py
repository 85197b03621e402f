"""PPO lands a module between two flags: LunarLander-v3."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """RL Baselines3 Zoo's settings for this task, as they are."""

    env: EnvConfig = EnvConfig("LunarLander-v3")
    num_envs: int = 16
    env_steps: int = 1_000_000
    agent: PPOConfig = PPOConfig(
        horizon=1024,
        minibatch_size=64,
        epochs=4,
        gamma=0.999,
        gae_lambda=0.98,
        entropy_coefficient=0.01,
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(100_000))


# Solved at 200; RL Baselines3 Zoo lists 242.1 +- 31.8 for one run of 1,000,000 steps on LunarLander-v2.
CLAIMS = (Claim("evaluation/return_mean", ">=", 200.0),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
