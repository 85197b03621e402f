"""TD3: continuous actions; a policy without chance, to which noise is added."""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.recipes.presets import Actions, Preset, Presets, values_of
from agents.td3 import TD3, TD3Config
from envs.config import EnvConfig
from experiments.control import td3_half_cheetah, td3_pendulum
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """TD3's own defaults, over which a preset is put."""

    env: EnvConfig = EnvConfig("Pendulum-v1")
    policy: ActorConfig = ActorConfig(distribution="deterministic")
    agent: TD3Config = TD3Config()


ACTIONS: Actions = "continuous"
CLAIMS = ()  # of whatever environment, nothing is claimed

FAST: Preset = {"agent.actor_optimizer.learning_rate": 1e-3, "agent.critic_optimizer.learning_rate": 1e-3}
LARGE: Preset = {"policy.network.hidden": (400, 300), "agent.critic_network.hidden": (400, 300)}
# Stable-Baselines3's step size; normalized.
DEFAULT: Preset = {
    **FAST,
    "env_steps": 100_000,
    "policy.normalize_observation": True,
    "evaluation.every.count": 10_000,
    "checkpoint.every.count": 20_000,
}
# RL Zoo's for MuJoCo.
MUJOCO: Preset = {
    **FAST,
    **LARGE,
    "env_steps": 500_000,
    "replay.capacity": 500_000,
    "replay.warmup_env_steps": 10_000,
    "evaluation.every.count": 25_000,
    "evaluation.episodes": 10,
    "checkpoint.every.count": 50_000,
}
# RL Zoo's for BipedalWalker and LunarLander.
BOX2D: Preset = {**MUJOCO, "env_steps": 300_000, "replay.capacity": 200_000, "agent.gamma": 0.98}
IMAGES: Preset = {
    "env_steps": 200_000,
    "replay.capacity": 100_000,
    "replay.warmup_env_steps": 5_000,
    "evaluation.every.count": 20_000,
    "evaluation.episodes": 10,
}

SHARED: Presets = {
    "default": DEFAULT,
    "box2d": BOX2D,
    "mujoco": MUJOCO,
    "images": IMAGES,
    "small_images": {**IMAGES, "policy.network.cnn": "small", "agent.critic_network.cnn": "small"},
    "goals": {**DEFAULT, "replay.hindsight_fraction": 0.8, "agent.gamma": 0.95},
    # RL Zoo's.
    "BipedalWalker-v3": {**BOX2D, "env_steps": 1_000_000},
    "Swimmer-v5": {**MUJOCO, "agent.gamma": 0.9999},
    "MountainCarContinuous-v0": {
        **FAST,
        **LARGE,
        "env_steps": 300_000,
        "policy.noise_kind": "ornstein_uhlenbeck",
        "policy.noise_std": 0.5,
    },
}
"""What DDPG takes too, as RL Zoo has it."""

PRESETS: Presets = {
    **SHARED,
    # Measured here: the settings of the experiments that claim something there.
    "Pendulum-v1": values_of(td3_pendulum, Config()),
    "HalfCheetah-v5": values_of(td3_half_cheetah, Config()),
}

# About what RL Zoo's sampler draws from.
SPACE: Space = {
    "agent.actor_optimizer.learning_rate": LogUniform(1e-4, 3e-3),
    "agent.critic_optimizer.learning_rate": LogUniform(1e-4, 3e-3),
    "agent.gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995, 0.999)),
    "agent.tau": LogUniform(1e-3, 0.08),
    "agent.critic_network.hidden": Choice(((64, 64), (256, 256), (400, 300))),
    "policy.network.hidden": Choice(((64, 64), (256, 256), (400, 300))),
    "policy.noise_kind": Choice(("normal", "ornstein_uhlenbeck")),
    "policy.noise_std": Choice((0.05, 0.1, 0.2, 0.5)),
    "replay.minibatch_size": Choice((64, 128, 256, 512)),
}


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, TD3)
