"""A2C balances a pole on a cart: CartPole-v1, one gradient step on each short rollout."""

from __future__ import annotations

from dataclasses import dataclass

from agents.a2c import A2C, A2CConfig
from agents.acting.evaluation import EvaluationConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """RL Baselines3 Zoo's settings for this task, with fewer env steps."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    num_envs: int = 8
    env_steps: int = 200_000
    agent: A2CConfig = A2CConfig(entropy_coefficient=0.0)
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(20_000))


# Solved at 475; RL Baselines3 Zoo lists 500 +- 0 for one run of 500,000 steps.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, A2C)
