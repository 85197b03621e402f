"""PQN: discrete actions and many environments; Q-learning without a replay, for games above all."""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.q_network import QNetworkConfig
from agents.pqn import PQN, PQNConfig
from agents.recipes import on_policy
from agents.recipes.presets import ATARI, MINATAR, MINIGRID, Actions, Preset, Presets
from envs.config import EnvConfig
from training.networks import NetworkConfig
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """PQN's own defaults, over which a preset is put."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    num_envs: int = 32
    policy: QNetworkConfig = QNetworkConfig(
        network=NetworkConfig(hidden=(256, 256), activation="relu", layer_norm=True)
    )
    agent: PQNConfig = PQNConfig()


ACTIONS: Actions = "discrete"
CLAIMS = ()  # of whatever environment, nothing is claimed

# The paper's code for CartPole and Acrobot, with more steps and a smaller epsilon at the end.
DEFAULT: Preset = {
    "env_steps": 500_000,
    "policy.normalize_observation": True,
    "scale_reward": True,
    "agent.horizon": 64,
    "agent.epochs": 4,
    "agent.q_lambda": 0.95,
    "agent.epsilon.fraction": 0.2,
    "evaluation.every.count": 50_000,
}
# The paper's code for MinAtar and for Atari games.
IMAGES: Preset = {
    "env_steps": 10_000_000,
    "num_envs": 128,
    "policy.network.hidden": (),  # the convolutions end in a layer of their own
    "evaluation.every.count": 1_000_000,
}

PRESETS: Presets = {
    "default": DEFAULT,
    "atari": {
        **IMAGES,
        **ATARI,
        "agent.minibatch_size": 128,
        "agent.epsilon.final": 0.001,
        "agent.optimizer.learning_rate": 2.5e-4,
    },
    "minigrid": {**IMAGES, **MINIGRID},
    "images": {**IMAGES, "scale_reward": True},
    "small_images": {**IMAGES, "scale_reward": True, "policy.network.cnn": "small", "env_steps": 2_000_000},
    "minatar": {**IMAGES, **MINATAR},
    "discrete_states": {**DEFAULT, "env_steps": 200_000},
}

# A rollout must be a whole number of minibatches, which these all are.
SPACE: Space = {
    "agent.optimizer.learning_rate": LogUniform(3e-5, 3e-3),
    "agent.horizon": Choice((16, 32, 64)),
    "agent.minibatch_size": Choice((64, 128, 256)),
    "agent.epochs": Choice((1, 2, 4)),
    "agent.gamma": Choice((0.95, 0.98, 0.99, 0.995)),
    "agent.q_lambda": Choice((0.0, 0.5, 0.65, 0.8, 0.95)),
    "agent.epsilon.final": Choice((0.01, 0.05, 0.1)),
}


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, PQN)
