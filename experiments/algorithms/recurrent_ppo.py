"""Recurrent PPO: any actions, any observations; for tasks in which one observation does not tell enough."""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.recurrent_actor_critic import RecurrentActorCriticConfig
from agents.recipes import on_policy
from agents.recipes.presets import ATARI, MINATAR, MINIGRID, Actions, Presets, values_of
from agents.recurrent_ppo import RecurrentPPO, RecurrentPPOConfig
from envs.config import EnvConfig
from experiments.control import recurrent_ppo_cartpole
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """PPO's defaults and a memory, over which a preset is put."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    policy: RecurrentActorCriticConfig = RecurrentActorCriticConfig(memory_size=64)
    agent: RecurrentPPOConfig = RecurrentPPOConfig(sequence_length=32)


ACTIONS: Actions = "any"
CLAIMS = ()  # of whatever environment, nothing is claimed

# The settings of recurrent_ppo_cartpole, with the step size of PPO's default.
DEFAULT = {
    "env_steps": 500_000,
    "policy.normalize_observation": True,
    "scale_reward": True,
    "agent.epochs": 10,
    "agent.optimizer.schedule.kind": "linear",
    "evaluation.every.count": 50_000,
}
# As PPO's; the memory has the size of Huang et al. 2022 (LSTM details).
IMAGES = {
    "env_steps": 2_000_000,
    "scale_reward": True,
    "policy.memory_size": 128,
    "policy.network.hidden": (),  # the memory lies between the convolutions and the last layers
    "agent.clip_range": 0.1,
    "agent.entropy_coefficient": 0.01,
    "agent.optimizer.learning_rate": 2.5e-4,
    "agent.optimizer.schedule.kind": "linear",
    "evaluation.every.count": 200_000,
}

PRESETS: Presets = {
    "default": DEFAULT,
    # RL Zoo's for LunarLander without velocities (ppo_lstm), with a smaller budget.
    "box2d": {
        **DEFAULT,
        "env_steps": 2_000_000,
        "num_envs": 32,
        "agent.horizon": 512,
        "agent.gamma": 0.999,
        "agent.gae_lambda": 0.98,
        "agent.minibatch_size": 128,
        "agent.epochs": 4,
        "agent.entropy_coefficient": 0.01,
        "evaluation.every.count": 200_000,
    },
    # RL Zoo's for PyBullet (ppo_lstm), with less noise at first, as ppo_half_cheetah has it.
    "mujoco": {
        **DEFAULT,
        "env_steps": 1_000_000,
        "num_envs": 16,
        "policy.memory_size": 128,
        "policy.initial_log_std": -1.0,
        "agent.horizon": 256,
        "agent.gae_lambda": 0.9,
        "agent.minibatch_size": 128,
        "evaluation.every.count": 100_000,
    },
    "atari": {**IMAGES, **ATARI, "scale_reward": False},
    "minigrid": {**IMAGES, **MINIGRID, "policy.network.hidden": (64,), "agent.clip_range": 0.2},
    "images": IMAGES,
    "small_images": {**IMAGES, "policy.network.cnn": "small", "env_steps": 1_000_000},
    "minatar": {**IMAGES, **MINATAR, "agent.clip_range": 0.2},
    "discrete_states": {**DEFAULT, "agent.entropy_coefficient": 0.01},
    # Measured here, of two of its four numbers.
    "CartPole-v1": values_of(recurrent_ppo_cartpole, Config()),
}

# Minibatches are whole sequences and divide each rollout.
SPACE: Space = {
    "agent.optimizer.learning_rate": LogUniform(1e-4, 3e-3),
    "agent.horizon": Choice((128, 256, 512)),
    "agent.sequence_length": Choice((16, 32, 64)),
    "agent.minibatch_size": Choice((128, 256)),
    "agent.epochs": Choice((4, 10, 20)),
    "agent.gamma": Choice((0.95, 0.98, 0.99, 0.995, 0.999)),
    "agent.gae_lambda": Choice((0.8, 0.9, 0.95, 0.98)),
    "policy.memory_size": Choice((32, 64, 128)),
}


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, RecurrentPPO)
