"""PPO walks on two legs: BipedalWalker-v3, continuous torques at four joints."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor_critic import ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """RL Baselines3 Zoo's settings for this task, with larger minibatches and fewer env steps."""

    env: EnvConfig = EnvConfig("BipedalWalker-v3")
    num_envs: int = 32
    env_steps: int = 2_000_000
    policy: ActorCriticConfig = ActorCriticConfig(normalize_observation=True)
    scale_reward: bool = True
    agent: PPOConfig = PPOConfig(
        horizon=512,
        minibatch_size=512,
        epochs=10,
        gamma=0.999,
        gae_lambda=0.95,
        clip_range=0.18,
        optimizer=OptimizerConfig(learning_rate=3e-4, schedule=Schedule("linear"), eps=1e-5, max_grad_norm=0.5),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(200_000), episodes=10, final_episodes=50)


# RL Baselines3 Zoo lists 287.9 +- 2.4 for one run of 5,000,000 steps.
CLAIMS = (Claim("evaluation/return_mean", ">=", 230.0),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
