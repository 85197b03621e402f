"""PPO fails to balance a pole without velocities and memory: CartPole-v1, the baseline of recurrent_ppo_cartpole."""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor_critic import ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

LINEAR = Schedule("linear")


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """What `recurrent_ppo_cartpole` is compared with, which has the same numbers and says where they come from."""

    # Observations are the cart's position and speed, the pole's angle and its speed.
    env: EnvConfig = EnvConfig("CartPole-v1", observation_indices=(0, 2))
    num_envs: int = 8
    env_steps: int = 100_000
    policy: ActorCriticConfig = ActorCriticConfig(normalize_observation=True)
    scale_reward: bool = True
    agent: PPOConfig = PPOConfig(
        horizon=128,
        minibatch_size=256,
        epochs=10,
        gamma=0.99,
        gae_lambda=0.95,
        clip_range=0.2,
        clip_schedule=LINEAR,
        optimizer=OptimizerConfig(learning_rate=1e-3, schedule=LINEAR, eps=1e-5, max_grad_norm=0.5),
    )


CLAIMS = ()  # it is there to be compared with


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
