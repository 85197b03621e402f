"""PPO without a bonus drives a weak car up a hill: MountainCar-v0, the baseline of `rnd_mountain_car`.

As a baseline it runs as many env steps as that one; here as many as it needs.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor_critic import ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.optimizer import OptimizerConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """The best after 100,000 steps of 8 settings: horizon 16 or 64, learning rate 3e-4 or 1e-3, entropy 0 or 0.01."""

    env: EnvConfig = EnvConfig("MountainCar-v0")
    num_envs: int = 16
    env_steps: int = 100_000
    policy: ActorCriticConfig = ActorCriticConfig(normalize_observation=True)
    scale_reward: bool = True
    agent: PPOConfig = PPOConfig(
        horizon=64,
        minibatch_size=64,
        epochs=4,
        gamma=0.99,
        gae_lambda=0.98,
        clip_range=0.2,
        entropy_coefficient=0.01,
        optimizer=OptimizerConfig(learning_rate=1e-3, eps=1e-5, max_grad_norm=0.5),
    )


# RL Baselines3 Zoo lists -110.4 +- 19.5 for one run of 1,000,000 steps; never arriving is -200.
CLAIMS = (Claim("evaluation/return_mean", ">=", -130.0),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
