"""Recurrent PPO balances a pole that it sees without velocities: CartPole-v1, an LSTM remembers where things were."""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.recurrent_actor_critic import RecurrentActorCriticConfig
from agents.recipes import on_policy
from agents.recurrent_ppo import RecurrentPPO, RecurrentPPOConfig
from experiments.control import ppo_cartpole_no_velocity
from training.claims import Claim
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(ppo_cartpole_no_velocity.Config):
    """RL Baselines3 Zoo's optimizer for this task, which is that of CartPole-v1, with a smaller memory and two changes.

    Large values make the memory of the critic saturate: observations and rewards are normalized, as in the Zoo's other
    tasks without velocities. The cart's slow drift needs foresight: rollouts are four times as long (sequences are the
    Zoo's), with half of the epochs, and gamma and lambda are PPO's own instead of 0.98 and 0.8.
    """

    policy: RecurrentActorCriticConfig = RecurrentActorCriticConfig(memory_size=64, normalize_observation=True)
    agent: RecurrentPPOConfig = RecurrentPPOConfig(  # type: ignore[assignment]  # another algorithm's
        **vars(ppo_cartpole_no_velocity.Config.agent), sequence_length=32
    )


CLAIMS = (
    Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),
    # The same task, budget and numbers, without a memory.
    Claim("evaluation/return_mean", ">=", baseline="ppo_cartpole_no_velocity", margin=300.0),
)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, RecurrentPPO)
