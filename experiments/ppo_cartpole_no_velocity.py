"""PPO without a memory cannot balance a pole that it sees without velocities: CartPole-v1, the baseline of recurrent PPO."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents import on_policy
from agents.ppo import PPO
from envs.config import EnvConfig
from experiments import ppo_cartpole
from training.claims import Claim
from training.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(ppo_cartpole.Config):
    """The settings of `ppo_cartpole` and `recurrent_ppo_cartpole`."""

    # Observations are the cart's position and speed, the pole's angle and its speed.
    env: EnvConfig = replace(ppo_cartpole.Config().env, observation_indices=(0, 2))


CLAIMS = (Claim("evaluation/return_mean", "<=", 200.0),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
