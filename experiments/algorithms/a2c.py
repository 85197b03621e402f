"""A2C: any actions, any observations; one gradient step on each short rollout."""

from __future__ import annotations

from dataclasses import dataclass

from agents.a2c import A2C, A2CConfig
from agents.recipes import on_policy
from agents.recipes.presets import ATARI, MINATAR, MINIGRID, Actions, Presets, values_of
from envs.config import EnvConfig
from experiments.control import a2c_cartpole
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """A2C's own defaults, over which a preset is put."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    agent: A2CConfig = A2CConfig()


ACTIONS: Actions = "any"
CLAIMS = ()  # of whatever environment, nothing is claimed

# Stable-Baselines3's settings, normalized as in RL Zoo's tasks, with a step size that falls.
DEFAULT = {
    "env_steps": 500_000,
    "policy.normalize_observation": True,
    "scale_reward": True,
    "agent.entropy_coefficient": 0.0,
    "agent.optimizer.schedule.kind": "linear",
    "evaluation.every.count": 50_000,
}
# RL Zoo's for BipedalWalker-v3 and PyBullet, without gSDE.
CONTINUOUS = {
    **DEFAULT,
    "policy.initial_log_std": -1.0,
    "agent.horizon": 8,
    "agent.gae_lambda": 0.9,
    "agent.value_coefficient": 0.4,
    "agent.optimizer.learning_rate": 9.6e-4,
}
# RL Zoo's for Atari games.
IMAGES = {
    "env_steps": 2_000_000,
    "num_envs": 16,
    "policy.network.hidden": (),  # the convolutions end in a layer of their own
    "agent.value_coefficient": 0.25,
    "evaluation.every.count": 200_000,
}
ZOO_SPARSE = {**DEFAULT, "num_envs": 16, "env_steps": 1_000_000, "evaluation.every.count": 100_000}

PRESETS: Presets = {
    "default": DEFAULT,
    "box2d": {**CONTINUOUS, "num_envs": 16, "env_steps": 2_000_000, "evaluation.every.count": 200_000},
    "mujoco": {**CONTINUOUS, "env_steps": 1_000_000, "evaluation.every.count": 100_000},
    "atari": {**IMAGES, **ATARI},
    "minigrid": {**IMAGES, **MINIGRID},
    "images": {**IMAGES, "scale_reward": True},
    "small_images": {**IMAGES, "scale_reward": True, "policy.network.cnn": "small", "env_steps": 1_000_000},
    "minatar": {**IMAGES, **MINATAR},
    "discrete_states": {**DEFAULT, "agent.entropy_coefficient": 0.01},
    # Measured here: the settings of the experiment that claims something there.
    "CartPole-v1": values_of(a2c_cartpole, Config()),
    # RL Zoo's; gSDE is not, and the budget is smaller on BipedalWalker.
    "Acrobot-v1": {**ZOO_SPARSE, "env_steps": 500_000},
    "MountainCar-v0": ZOO_SPARSE,
    "LunarLander-v3": {
        "env_steps": 200_000,
        "agent.gamma": 0.995,
        "agent.entropy_coefficient": 1e-5,
        "agent.optimizer.learning_rate": 8.3e-4,
        "agent.optimizer.schedule.kind": "linear",
    },
    "Pendulum-v1": {**CONTINUOUS, "env_steps": 1_000_000, "agent.gamma": 0.9, "agent.optimizer.learning_rate": 7e-4},
}

# About what RL Zoo's sampler draws from; its rollouts are longer, of one environment.
SPACE: Space = {
    "agent.optimizer.learning_rate": LogUniform(1e-4, 3e-3),
    "agent.horizon": Choice((5, 8, 16, 32, 64)),
    "agent.gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995, 0.999)),
    "agent.gae_lambda": Choice((0.8, 0.9, 0.95, 0.98, 1.0)),
    "agent.entropy_coefficient": LogUniform(1e-6, 0.05),
    "agent.optimizer.max_grad_norm": Choice((0.3, 0.5, 1.0, 2.0)),
}


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, A2C)
