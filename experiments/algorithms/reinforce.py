"""REINFORCE with a baseline: any actions, any observations; the simplest, for tasks with short episodes."""

from __future__ import annotations

from dataclasses import dataclass

from agents.recipes import on_policy
from agents.recipes.presets import ATARI, MINATAR, MINIGRID, Actions, Presets, values_of
from agents.reinforce import Reinforce, ReinforceConfig
from envs.config import EnvConfig
from experiments.control import reinforce_cartpole
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """REINFORCE's own defaults, over which a preset is put."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    agent: ReinforceConfig = ReinforceConfig()


ACTIONS: Actions = "any"
CLAIMS = ()  # of whatever environment, nothing is claimed

# No published table has REINFORCE: the settings of reinforce_cartpole, normalized.
DEFAULT = {
    "env_steps": 500_000,
    "policy.normalize_observation": True,
    "scale_reward": True,
    "agent.policy_optimizer.schedule.kind": "linear",
    "evaluation.every.count": 50_000,
}
SLOW = {"agent.policy_optimizer.learning_rate": 1e-3, "agent.baseline_optimizer.learning_rate": 1e-3}
IMAGES = {**DEFAULT, **SLOW, "policy.network.hidden": (), "policy.shared_encoder": False, "env_steps": 2_000_000}

PRESETS: Presets = {
    "default": DEFAULT,
    "box2d": {**DEFAULT, "env_steps": 2_000_000, "evaluation.every.count": 200_000},
    "mujoco": {**DEFAULT, "policy.initial_log_std": -1.0, "env_steps": 1_000_000, "evaluation.every.count": 100_000},
    "atari": {**IMAGES, **ATARI, "scale_reward": False},
    "minigrid": {**IMAGES, **MINIGRID},
    "images": IMAGES,
    "small_images": {**IMAGES, "policy.network.cnn": "small", "env_steps": 1_000_000},
    "minatar": {**IMAGES, **MINATAR},
    "discrete_states": {**DEFAULT, "agent.entropy_coefficient": 0.01},
    # Measured here: the settings of the experiment that claims something there.
    "CartPole-v1": values_of(reinforce_cartpole, Config()),
}

SPACE: Space = {
    "agent.policy_optimizer.learning_rate": LogUniform(3e-4, 1e-2),
    "agent.baseline_optimizer.learning_rate": LogUniform(3e-4, 1e-2),
    "agent.baseline_steps": Choice((5, 10, 20)),
    "agent.horizon": Choice((128, 256, 512, 1024)),
    "agent.gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995, 0.999)),
    "agent.entropy_coefficient": LogUniform(1e-6, 0.05),
}


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, Reinforce)
