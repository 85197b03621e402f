"""Asynchronous PPO: any actions, any observations; Ray workers act while the policy learns."""

from __future__ import annotations

from dataclasses import dataclass

from agents.appo import APPO, APPOConfig
from agents.recipes import on_policy
from agents.recipes.presets import ATARI, MINATAR, MINIGRID, Actions, Presets, values_of
from envs.config import EnvConfig
from experiments.control import appo_cartpole
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """Asynchronous PPO's own defaults, over which a preset is put."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    workers: int = 2
    agent: APPOConfig = APPOConfig()


ACTIONS: Actions = "any"
CLAIMS = ()  # of whatever environment, nothing is claimed

# PPO's default, but that rewards are not scaled: workers that act behind learning cannot follow each return.
DEFAULT = {
    "env_steps": 500_000,
    "policy.normalize_observation": True,
    "agent.horizon": 128,
    "agent.epochs": 10,
    "agent.clip_range": 0.2,
    "agent.trace_lambda": 0.95,
    "agent.entropy_coefficient": 0.0,
    "agent.optimizer.learning_rate": 3e-4,
    "agent.optimizer.schedule.kind": "linear",
    "agent.optimizer.max_grad_norm": 0.5,
    "evaluation.every.count": 50_000,
}
# Sample Factory's, which are the algorithm's own.
IMAGES = {"env_steps": 2_000_000, "num_envs": 32, "policy.network.hidden": (), "evaluation.every.count": 200_000}

PRESETS: Presets = {
    "default": DEFAULT,
    "mujoco": {**DEFAULT, "policy.initial_log_std": -1.0, "env_steps": 1_000_000, "evaluation.every.count": 100_000},
    "atari": {**IMAGES, **ATARI},
    "minigrid": {**IMAGES, **MINIGRID, "policy.network.hidden": (64,)},
    "images": IMAGES,
    "small_images": {**IMAGES, "policy.network.cnn": "small"},
    "minatar": {**IMAGES, **MINATAR, "agent.optimizer.learning_rate": 1e-3},
    "discrete_states": {**DEFAULT, "agent.entropy_coefficient": 0.01},
    # Measured here: the settings of the experiment that claims something there.
    "CartPole-v1": values_of(appo_cartpole, Config()),
}

# A rollout must be a whole number of minibatches, which these all are.
SPACE: Space = {
    "agent.optimizer.learning_rate": LogUniform(3e-5, 3e-3),
    "agent.horizon": Choice((32, 64, 128)),
    "agent.minibatch_size": Choice((64, 128, 256)),
    "agent.epochs": Choice((1, 4, 10)),
    "agent.gamma": Choice((0.95, 0.98, 0.99, 0.995)),
    "agent.trace_lambda": Choice((0.8, 0.9, 0.95, 1.0)),
    "agent.clip_range": Choice((0.1, 0.2, 0.3)),
    "agent.entropy_coefficient": LogUniform(1e-6, 0.05),
}


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes workers and policy; `training.fit` is the loop."""
    on_policy.train(config, run, APPO)
