"""DQN: discrete actions; learns from each step many times, where steps of the environment are expensive."""

from __future__ import annotations

from dataclasses import dataclass

from agents.dqn import DQN, DQNConfig
from agents.policies.q_network import QNetworkConfig
from agents.recipes import off_policy
from agents.recipes.presets import ATARI, MINATAR, MINIGRID, Actions, Preset, Presets, values_of
from envs.config import EnvConfig
from experiments.control import dqn_cartpole
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """DQN's own defaults, over which a preset is put."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    policy: QNetworkConfig = QNetworkConfig()
    agent: DQNConfig = DQNConfig()


ACTIONS: Actions = "discrete"
CLAIMS = ()  # of whatever environment, nothing is claimed

# Step size and targets of RL Zoo's for LunarLander and Acrobot, half as many gradient steps, and what dqn_cartpole
# found here: observations are normalized, and the step size falls, so that the last policy holds.
VECTORS: Preset = {
    "env_steps": 100_000,
    "policy.normalize_observation": True,
    "replay.capacity": 100_000,
    "replay.horizon": 4,
    "replay.gradient_steps": 2,
    "replay.minibatch_size": 64,
    "agent.target_gradient_steps": 250,
    "agent.epsilon.fraction": 0.2,
    "agent.optimizer.learning_rate": 6.3e-4,
    "agent.optimizer.schedule.kind": "linear",
    "evaluation.every.count": 10_000,
}
# RL Zoo's for Atari games, with a shorter warm-up: few rewards are as rare as there.
IMAGES: Preset = {
    "env_steps": 1_000_000,
    "policy.network.hidden": (),  # the convolutions end in a layer of their own
    "replay.capacity": 100_000,
    "replay.warmup_env_steps": 10_000,
    "replay.horizon": 4,
    "replay.minibatch_size": 32,
    "agent.target_gradient_steps": 250,
    "agent.epsilon.final": 0.01,
    "agent.optimizer.learning_rate": 1e-4,
    "evaluation.every.count": 50_000,
}
# RL Zoo's for LunarLander and Acrobot, but for a warm-up.
ZOO: Preset = {
    "env_steps": 100_000,
    "replay.capacity": 50_000,
    "replay.horizon": 4,
    "replay.gradient_steps": 4,
    "replay.minibatch_size": 128,
    "agent.target_gradient_steps": 250,
    "agent.epsilon.final": 0.1,
    "agent.epsilon.fraction": 0.12,
    "agent.optimizer.learning_rate": 6.3e-4,
    "evaluation.every.count": 10_000,
}

SHARED: Presets = {
    "default": VECTORS,
    "atari": {**IMAGES, **ATARI, "replay.warmup_env_steps": 50_000},
    "minigrid": {**IMAGES, **MINIGRID},
    "images": IMAGES,
    "small_images": {**IMAGES, "policy.network.cnn": "small", "env_steps": 500_000},
    # Young and Tian's (2019, examples/dqn.py), with Adam and a gradient step in every fourth step.
    "minatar": {
        **IMAGES,
        **MINATAR,
        "replay.warmup_env_steps": 5_000,
        "agent.epsilon.final": 0.1,
        "agent.epsilon.fraction": 0.05,
        "agent.optimizer.learning_rate": 2.5e-4,
    },
    # Each goal that was reached later is one more lesson (Andrychowicz et al. 2017); discount and warm-up are RL Zoo's.
    "goals": {**VECTORS, "replay.hindsight_fraction": 0.8, "agent.gamma": 0.95},
    # RL Zoo's.
    "Acrobot-v1": ZOO,
    "LunarLander-v3": ZOO,
    "MountainCar-v0": {
        "env_steps": 120_000,
        "replay.capacity": 10_000,
        "replay.horizon": 16,
        "replay.gradient_steps": 8,
        "replay.minibatch_size": 128,
        "agent.gamma": 0.98,
        "agent.target_gradient_steps": 300,
        "agent.epsilon.final": 0.07,
        "agent.epsilon.fraction": 0.2,
        "agent.optimizer.learning_rate": 4e-3,
        "evaluation.every.count": 10_000,
    },
}
"""What C51 and QR-DQN take too."""

PRESETS: Presets = {
    **SHARED,
    # A clipped error hides rare transitions where returns are large, as dqn_cartpole found here.
    "default": {**VECTORS, "agent.error_clip": None},
    "goals": {**SHARED["goals"], "agent.error_clip": None},
    # Measured here: the settings of the experiment that claims something there.
    "CartPole-v1": values_of(dqn_cartpole, Config()),
}

# About what RL Zoo's sampler draws from.
SPACE: Space = {
    "agent.optimizer.learning_rate": LogUniform(3e-5, 5e-3),
    "agent.gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995, 0.999)),
    "agent.target_gradient_steps": Choice((50, 125, 250, 500, 1_000)),
    "agent.epsilon.fraction": Choice((0.05, 0.1, 0.2, 0.4)),
    "agent.epsilon.final": Choice((0.01, 0.04, 0.1)),
    "agent.double": Choice((False, True)),
    "replay.gradient_steps": Choice((1, 2, 4)),
    "replay.minibatch_size": Choice((32, 64, 128, 256)),
}


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, DQN)
