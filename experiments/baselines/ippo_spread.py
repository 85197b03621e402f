"""Independent PPO on simple spread: what `mappo_spread` is compared with, whose critic sees what all agents see."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.policies.actor_critic import ActorCriticConfig
from agents.ppo import PPO
from agents.recipes import on_policy
from envs.config import EnvConfig
from experiments.many_agents import mappo_spread
from training.run.run import Run

SAME = mappo_spread.Config()


@dataclass(frozen=True, kw_only=True)
class Config(mappo_spread.Config):
    """All else is the same."""

    env: EnvConfig = replace(SAME.env, global_state=False)
    policy: ActorCriticConfig = replace(SAME.policy, critic_only=())


CLAIMS = ()  # it is there to be compared with


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
