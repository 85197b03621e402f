"""IMPALA: any actions, any observations; Ray workers act while the policy learns from many of them."""

from __future__ import annotations

from dataclasses import dataclass

from agents.impala import IMPALA, IMPALAConfig
from agents.recipes import on_policy
from agents.recipes.presets import ATARI, MINATAR, MINIGRID, Actions, Presets, values_of
from envs.config import EnvConfig
from experiments.control import impala_cartpole
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """IMPALA's own defaults, over which a preset is put."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    workers: int = 2
    agent: IMPALAConfig = IMPALAConfig()


ACTIONS: Actions = "any"
CLAIMS = ()  # of whatever environment, nothing is claimed

CARTPOLE = values_of(impala_cartpole, Config())
# The optimizer of impala_cartpole; discount, rollouts and entropy are the paper's.
DEFAULT = {
    **{key: value for key, value in CARTPOLE.items() if key.startswith("agent.optimizer.")},
    "env_steps": 500_000,
    "policy.normalize_observation": True,
    "agent.value_coefficient": 0.5,
    "evaluation.every.count": 50_000,
}
# The paper's for single Atari games, which are the algorithm's own.
IMAGES = {"env_steps": 2_000_000, "num_envs": 32, "policy.network.hidden": (), "evaluation.every.count": 200_000}

PRESETS: Presets = {
    "default": DEFAULT,
    "mujoco": {**DEFAULT, "policy.initial_log_std": -1.0, "agent.entropy_coefficient": 0.0, "env_steps": 1_000_000},
    "atari": {**IMAGES, **ATARI},
    "minigrid": {**IMAGES, **MINIGRID, "policy.network.hidden": (64,)},
    "images": IMAGES,
    "small_images": {**IMAGES, "policy.network.cnn": "small"},
    "minatar": {**IMAGES, **MINATAR},
    # Measured here: the settings of the experiment that claims something there.
    "CartPole-v1": CARTPOLE,
}

SPACE: Space = {
    "agent.optimizer.learning_rate": LogUniform(3e-4, 1e-2),
    "agent.horizon": Choice((10, 16, 20, 40)),
    "agent.gamma": Choice((0.95, 0.98, 0.99, 0.995)),
    "agent.trace_lambda": Choice((0.8, 0.9, 0.95, 1.0)),
    "agent.entropy_coefficient": LogUniform(1e-5, 0.05),
    "agent.value_coefficient": Choice((0.25, 0.5, 1.0)),
}


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes workers and policy; `training.fit` is the loop."""
    on_policy.train(config, run, IMPALA)
