"""MAPPO covers three landmarks with three agents, simple spread; that its critic sees all agents is no gain here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor_critic import ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """About the settings of Yu et al. 2022 for this task, with larger steps and less entropy.

    With a rate of 7e-4 and an entropy coefficient of 0.01 development seed 1 ended at -31.0, with these at -27.8.
    """

    env: EnvConfig = EnvConfig("mpe2.simple_spread_v3:parallel_env", global_state=True)
    num_envs: int = 128
    env_steps: int = 5_000_000
    policy: ActorCriticConfig = ActorCriticConfig(network=NetworkConfig((64, 64), "relu"), critic_only=("global",))
    scale_reward: bool = True
    agent: PPOConfig = PPOConfig(
        horizon=25,
        minibatch_size=2_400,
        epochs=5,
        entropy_coefficient=0.003,
        optimizer=OptimizerConfig(learning_rate=2e-3, schedule=Schedule("linear"), eps=1e-5, max_grad_norm=0.5),
    )
    evaluation: EvaluationConfig = EvaluationConfig(
        every=Every(500_000), episodes=128, final_episodes=512, num_envs=128
    )
    log_every: Every = Every(50_000)


# The team's return: -79 at random, -51.8 where each agent runs to the landmark nearest to it, -23.0 by the assignment
# with the shortest ways, which sees all (tests/envs/tasks/test_simple_spread.py).
REACHED = Claim("evaluation/return_mean", ">=", -30.0)
# What it is to show. On development seeds it does not: `ippo_spread` was 0.7 better after the whole run (seed 1: -27.1)
# and 1.0 and 1.2 better after 1.5 million env steps (seeds 1 and 2).
CLAIMS = (REACHED, replace(REACHED, target=None, baseline="ippo_spread"))


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
