"""IMPALA balances the pole on a cart: two Ray workers act while the policy learns, corrected by V-trace."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.impala import IMPALA, IMPALAConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """RMSProp whose eps is large for a mean of losses: it keeps steps small where gradients are, as they are once the
    pole stands."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    num_envs: int = 8
    workers: int = 2
    env_steps: int = 200_000
    agent: IMPALAConfig = IMPALAConfig(
        horizon=16,
        gamma=0.98,
        entropy_coefficient=0.0,
        value_coefficient=0.5,
        optimizer=OptimizerConfig(
            kind="rmsprop", learning_rate=6e-3, schedule=Schedule("linear"), eps=0.01, max_grad_norm=0.5
        ),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(20_000))


# The environment counts as solved at a mean return of 475, which is also PPO's claim.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes workers and policy; `training.fit` is the loop."""
    on_policy.train(config, run, IMPALA)
