"""PPO: any actions, any observations; the first to try where steps of the environment are cheap."""

from __future__ import annotations

from dataclasses import dataclass

from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from agents.recipes.presets import ATARI, MINATAR, MINIGRID, Actions, Presets, values_of
from envs.config import EnvConfig
from experiments.control import (
    ppo_acrobot,
    ppo_bipedal_walker,
    ppo_cartpole,
    ppo_half_cheetah,
    ppo_lunar_lander,
    ppo_mountain_car,
    ppo_pendulum,
)
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """PPO's own defaults, over which a preset is put."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    agent: PPOConfig = PPOConfig()


ACTIONS: Actions = "any"
CLAIMS = ()  # of whatever environment, nothing is claimed

# CleanRL's settings for continuous control (ppo_continuous_action.py), whose rollout of 2,048 steps is that of eight
# environments here: what is normalized learns on scales that nobody has looked at.
DEFAULT = {
    "env_steps": 500_000,
    "policy.normalize_observation": True,
    "scale_reward": True,
    "agent.horizon": 256,
    "agent.minibatch_size": 64,
    "agent.epochs": 10,
    "agent.optimizer.schedule.kind": "linear",
    "evaluation.every.count": 50_000,
}
# CleanRL's settings for Atari games (ppo_atari.py), with the falling clip range of RL Zoo's.
IMAGES = {
    "env_steps": 2_000_000,
    "policy.network.hidden": (),  # the convolutions end in a layer of their own
    "agent.horizon": 128,
    "agent.minibatch_size": 256,
    "agent.clip_range": 0.1,
    "agent.clip_schedule.kind": "linear",
    "agent.entropy_coefficient": 0.01,
    "agent.optimizer.learning_rate": 2.5e-4,
    "agent.optimizer.schedule.kind": "linear",
    "evaluation.every.count": 200_000,
}
OWN = Config()
LANDER = values_of(ppo_lunar_lander, OWN)

PRESETS: Presets = {
    "default": DEFAULT,
    "classic_control": {**DEFAULT, "env_steps": 200_000, "agent.horizon": 128, "evaluation.every.count": 20_000},
    "box2d": values_of(ppo_bipedal_walker, OWN),
    "mujoco": {**values_of(ppo_half_cheetah, OWN), "env_steps": 1_000_000},
    "atari": {**IMAGES, **ATARI},
    # RL Zoo's for MiniGrid, which observes a vector there.
    "minigrid": {
        **MINIGRID,
        "agent.horizon": 128,
        "agent.minibatch_size": 64,
        "agent.epochs": 10,
        "agent.optimizer.learning_rate": 2.5e-4,
    },
    "images": {**IMAGES, "scale_reward": True},
    "small_images": {**IMAGES, "scale_reward": True, "policy.network.cnn": "small", "env_steps": 1_000_000},
    # Chosen here after Atari's, with more environments and a larger step size.
    "minatar": {
        **IMAGES,
        **MINATAR,
        "num_envs": 16,
        "agent.horizon": 128,
        "agent.entropy_coefficient": 0.01,
        "agent.optimizer.learning_rate": 1e-3,
        "agent.optimizer.schedule.kind": "linear",
        "evaluation.every.count": 200_000,
    },
    "discrete_states": {
        "env_steps": 200_000,
        "scale_reward": True,
        "agent.horizon": 128,
        "agent.epochs": 10,
        "agent.entropy_coefficient": 0.01,
        "agent.optimizer.learning_rate": 1e-3,
        "agent.optimizer.schedule.kind": "linear",
    },
    # Measured here: the settings of the experiments that claim something there.
    "CartPole-v1": values_of(ppo_cartpole, OWN),
    "Acrobot-v1": values_of(ppo_acrobot, OWN),
    "MountainCar-v0": values_of(ppo_mountain_car, OWN),
    "Pendulum-v1": values_of(ppo_pendulum, OWN),
    "LunarLander-v3": LANDER,
    "LunarLanderContinuous-v3": LANDER,  # RL Zoo has the same for both
    "BipedalWalker-v3": values_of(ppo_bipedal_walker, OWN),
    "HalfCheetah-v5": values_of(ppo_half_cheetah, OWN),
    # RL Zoo's, tuned on Swimmer-v4.
    "Swimmer-v5": {
        "env_steps": 1_000_000,
        "num_envs": 4,
        "policy.normalize_observation": True,
        "scale_reward": True,
        "agent.gamma": 0.9999,
        "agent.gae_lambda": 0.98,
        "agent.horizon": 1024,
        "agent.epochs": 10,
        "agent.optimizer.learning_rate": 6e-4,
        "evaluation.every.count": 100_000,
    },
}

# A rollout must be a whole number of minibatches, which these all are. About what RL Zoo's sampler draws from.
SPACE: Space = {
    "agent.optimizer.learning_rate": LogUniform(3e-5, 3e-3),
    "agent.horizon": Choice((128, 256, 512, 1024)),
    "agent.minibatch_size": Choice((64, 128, 256)),
    "agent.epochs": Choice((4, 10, 20)),
    "agent.gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995, 0.999)),
    "agent.gae_lambda": Choice((0.8, 0.9, 0.95, 0.98)),
    "agent.clip_range": Choice((0.1, 0.2, 0.3)),
    "agent.entropy_coefficient": LogUniform(1e-6, 0.05),
}


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PPO)
