"""PPO fails to balance a pole without velocities and memory: CartPole-v1, the baseline of recurrent_ppo_cartpole."""

from __future__ import annotations

from dataclasses import dataclass

from agents import on_policy
from agents.actor_critic import ActorCriticConfig
from agents.ppo import PPO
from envs.config import EnvConfig
from experiments import ppo_cartpole
from training.claims import Claim
from training.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(ppo_cartpole.Config):
    """The settings of `recurrent_ppo_cartpole`, which are those of `ppo_cartpole` with normalization."""

    env: EnvConfig = EnvConfig("CartPole-v1", observation_indices=(0, 2))
    policy: ActorCriticConfig = ActorCriticConfig(normalize_observation=True)
    scale_reward: bool = True


# A return of 475 counts as solved.
CLAIMS = (Claim("evaluation/return_mean", "<=", 200.0),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
