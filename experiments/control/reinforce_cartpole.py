"""REINFORCE with a baseline balances a pole on a cart: CartPole-v1, whole episodes at a time."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.recipes import on_policy
from agents.reinforce import Reinforce, ReinforceConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """Chosen here: no published table has REINFORCE."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    num_envs: int = 8
    env_steps: int = 250_000
    agent: ReinforceConfig = ReinforceConfig()
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(25_000))


# The environment counts as solved at a mean return of 475.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, Reinforce)
