"""Recurrent PPO balances a pole that it sees without velocities: CartPole-v1, an LSTM remembers where things were."""

from __future__ import annotations

from dataclasses import dataclass

from agents import on_policy
from agents.recurrent_actor_critic import RecurrentActorCriticConfig
from agents.recurrent_ppo import RecurrentPPO, RecurrentPPOConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.optimizer_config import OptimizerConfig
from training.run import Run
from training.schedules import Schedule

LINEAR = Schedule("linear")


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """RL Baselines3 Zoo's optimizer for this task, which is that of CartPole-v1, with a smaller memory and two changes.

    Large values make the memory of the critic saturate: observations and rewards are normalized, as in the Zoo's other
    tasks without velocities. The cart's slow drift needs foresight: rollouts are four times as long (sequences are the
    Zoo's), with half of the epochs, and gamma and lambda are PPO's own instead of 0.98 and 0.8.
    """

    # Observations are the cart's position and speed, the pole's angle and its speed.
    env: EnvConfig = EnvConfig("CartPole-v1", observation_indices=(0, 2))
    num_envs: int = 8
    env_steps: int = 100_000
    policy: RecurrentActorCriticConfig = RecurrentActorCriticConfig(memory_size=64, normalize_observation=True)
    scale_reward: bool = True
    agent: RecurrentPPOConfig = RecurrentPPOConfig(
        horizon=128,
        sequence_length=32,
        minibatch_size=256,
        epochs=10,
        gamma=0.99,
        gae_lambda=0.95,
        clip_range=0.2,
        clip_schedule=LINEAR,
        optimizer=OptimizerConfig(learning_rate=1e-3, schedule=LINEAR, eps=1e-5, max_grad_norm=0.5),
    )


CLAIMS = (
    Claim("evaluation/return_mean", ">=", 475.0),
    # The same task, budget and numbers, without a memory.
    Claim("evaluation/return_mean", ">=", baseline="ppo_cartpole_no_velocity", margin=300.0),
)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, RecurrentPPO)
