"""IMPALA balances the pole on a cart: two Ray workers act while the policy learns, corrected by V-trace."""

from __future__ import annotations

from dataclasses import dataclass

from agents import on_policy
from agents.evaluation import EvaluationConfig
from agents.impala import IMPALA, IMPALAConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.optimizer_config import OptimizerConfig
from training.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """A2C's settings for this task, which IMPALA is without a lag."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    num_envs: int = 8
    workers: int = 2
    env_steps: int = 200_000
    agent: IMPALAConfig = IMPALAConfig(
        horizon=5,
        entropy_coefficient=0.0,
        optimizer=OptimizerConfig(kind="rmsprop", learning_rate=7e-4, eps=1e-5, max_grad_norm=0.5),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(20_000))


# The environment counts as solved at a mean return of 475, which is also PPO's claim.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes workers and policy; `training.fit` is the loop."""
    on_policy.train(config, run, IMPALA)
