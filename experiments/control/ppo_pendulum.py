"""PPO swings a pendulum up and holds it: Pendulum-v1, continuous torque."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

LINEAR = Schedule("linear")


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """RL Baselines3 Zoo's settings for this task, with a falling step size and no gSDE."""

    env: EnvConfig = EnvConfig("Pendulum-v1")
    num_envs: int = 4
    env_steps: int = 100_000
    agent: PPOConfig = PPOConfig(
        horizon=1024,
        minibatch_size=64,
        epochs=10,
        gamma=0.9,
        gae_lambda=0.95,
        optimizer=OptimizerConfig(learning_rate=1e-3, schedule=LINEAR, eps=1e-5, max_grad_norm=0.5),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(20_000))


# RL Baselines3 Zoo lists -172.2 +- 104.2 for one run of 100,000 steps, SLM-Lab -174.9 in training.
CLAIMS = (Claim("evaluation/return_mean", ">=", -200.0),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
