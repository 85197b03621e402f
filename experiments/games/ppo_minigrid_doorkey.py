"""PPO finds a key, opens a door and walks to the goal: MiniGrid-DoorKey-5x5-v0 from the agent's view."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor_critic import ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """RL Zoo's settings for MiniGrid, with convolutions over the view."""

    env: EnvConfig = EnvConfig("MiniGrid-DoorKey-5x5-v0", wrappers=("minigrid",))
    env_steps: int = 300_000
    policy: ActorCriticConfig = ActorCriticConfig(network=NetworkConfig(cnn="small"))
    agent: PPOConfig = PPOConfig(
        horizon=128, minibatch_size=64, epochs=10, optimizer=OptimizerConfig(learning_rate=2.5e-4)
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(50_000))


# RL Zoo lists 0.97 for one run of 100,000 steps. An episode returns 1 - 0.9 * steps / 250, and 0 without the goal.
CLAIMS = (Claim("evaluation/return_mean", ">=", 0.95),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
