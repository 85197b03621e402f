"""What ppo_half_cheetah is compared with: Stable-Baselines3's PPO with RL Zoo's settings for this task."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.acting.evaluation import EvaluationConfig
from agents.libraries import sb3
from agents.libraries.sb3 import SB3PolicyConfig
from envs.config import EnvConfig
from experiments.control.ppo_half_cheetah import Config as Ours
from training.run.run import Run

ARGUMENTS = {
    "n_steps": 512,
    "batch_size": 64,
    "n_epochs": 20,
    "gamma": 0.98,
    "gae_lambda": 0.92,
    "learning_rate": 2.0633e-5,
    "clip_range": 0.1,
    "ent_coef": 0.000401762,
    "vf_coef": 0.58096,
    "max_grad_norm": 0.8,
}
NETWORKS = {
    "net_arch": {"pi": [256, 256], "vf": [256, 256]},
    "activation_fn": "ReLU",
    "ortho_init": False,
    "log_std_init": -2.0,
}


@dataclass(frozen=True, kw_only=True)
class Config(sb3.SB3RunConfig):
    """RL Zoo's numbers for HalfCheetah, found by a search over runs of 1,000,000 env steps; here as many as ours."""

    env: EnvConfig = Ours.env
    env_steps: int = Ours.env_steps
    agent: SB3PolicyConfig = field(
        default_factory=lambda: SB3PolicyConfig(
            "PPO", arguments=ARGUMENTS, policy_kwargs=NETWORKS, normalize_observation=True, normalize_reward=True
        )
    )
    iteration_env_steps: int = 10_000
    evaluation: EvaluationConfig = Ours.evaluation


CLAIMS = ()  # it is there to be compared with


def train(config: Config, run: Run) -> None:
    """`sb3.train` makes environments and the library's model; `training.fit` is the loop."""
    sb3.train(config, run)
