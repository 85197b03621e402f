"""PPO swings a two-link pendulum up: Acrobot-v1, a reward of -1 a step until it is there."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor_critic import ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """RL Baselines3 Zoo's settings for this task, with larger minibatches, more epochs and fewer env steps."""

    env: EnvConfig = EnvConfig("Acrobot-v1")
    num_envs: int = 16
    env_steps: int = 200_000
    policy: ActorCriticConfig = ActorCriticConfig(normalize_observation=True)
    scale_reward: bool = True
    agent: PPOConfig = PPOConfig(horizon=256, minibatch_size=256, epochs=8, gamma=0.99, gae_lambda=0.94)
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(20_000))


# RL Baselines3 Zoo lists -73.5 +- 18.2 for one run of 1,000,000 steps, CleanRL -86.4 +- 1.3 in training.
CLAIMS = (Claim("evaluation/return_mean", ">=", -90.0),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
