"""Asynchronous PPO balances the pole on a cart: two Ray workers act while the policy learns."""

from __future__ import annotations

from dataclasses import dataclass

from agents.appo import APPO, APPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

LINEAR = Schedule("linear")


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """The settings and the budget of ppo_cartpole. V-trace's lambda is not GAE's: 0.8 here weighs later errors by one
    factor of 0.8 less than 0.8 there."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    num_envs: int = 8
    workers: int = 2
    env_steps: int = 100_000
    agent: APPOConfig = APPOConfig(
        horizon=32,
        minibatch_size=256,
        epochs=20,
        gamma=0.98,
        trace_lambda=0.8,
        clip_range=0.2,
        clip_schedule=LINEAR,
        entropy_coefficient=0.0,
        optimizer=OptimizerConfig(learning_rate=1e-3, schedule=LINEAR, eps=1e-5, max_grad_norm=0.5),
    )


# The environment counts as solved at a mean return of 475, which is also PPO's claim.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes workers and policy; `training.fit` is the loop."""
    on_policy.train(config, run, APPO)
