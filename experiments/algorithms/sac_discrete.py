"""Discrete SAC: discrete actions; a policy that stays as random as it can."""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.recipes.presets import ATARI, MINATAR, MINIGRID, Actions, Preset, Presets, values_of
from agents.sac_discrete import SACDiscrete, SACDiscreteConfig
from envs.config import EnvConfig
from experiments.control import sac_discrete_cartpole
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """Discrete SAC's own defaults, over which a preset is put."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    policy: ActorConfig = ActorConfig()
    agent: SACDiscreteConfig = SACDiscreteConfig()


ACTIONS: Actions = "discrete"
CLAIMS = ()  # of whatever environment, nothing is claimed

# The target entropy of sac_discrete_cartpole: with the paper's 98 % of a uniform policy's, what it does is random.
DEFAULT: Preset = {
    "env_steps": 100_000,
    "policy.normalize_observation": True,
    "replay.capacity": 100_000,
    "replay.minibatch_size": 64,
    "agent.target_entropy_fraction": 0.3,
    "evaluation.every.count": 10_000,
}
# CleanRL's for Atari games (sac_atari.py), with targets that follow slowly instead of being copied.
IMAGES: Preset = {
    "env_steps": 1_000_000,
    "replay.capacity": 100_000,
    "replay.warmup_env_steps": 10_000,
    "replay.horizon": 4,
    "replay.minibatch_size": 64,
    "agent.target_entropy_fraction": 0.89,
    "evaluation.every.count": 50_000,
}

PRESETS: Presets = {
    "default": DEFAULT,
    "atari": {**IMAGES, **ATARI, "replay.warmup_env_steps": 20_000},
    "minigrid": {**IMAGES, **MINIGRID, "agent.critic_network.cnn": "small"},
    "images": IMAGES,
    "small_images": {**IMAGES, "policy.network.cnn": "small", "agent.critic_network.cnn": "small"},
    "minatar": {**IMAGES, **MINATAR, "agent.critic_network.cnn": "minatar", "replay.warmup_env_steps": 5_000},
    "goals": {**DEFAULT, "replay.hindsight_fraction": 0.8, "agent.gamma": 0.95},
    # Measured here: the settings of the experiment that claims something there.
    "CartPole-v1": values_of(sac_discrete_cartpole, Config()),
}

SPACE: Space = {
    "agent.actor_optimizer.learning_rate": LogUniform(1e-4, 3e-3),
    "agent.critic_optimizer.learning_rate": LogUniform(1e-4, 3e-3),
    "agent.gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995)),
    "agent.tau": LogUniform(1e-3, 0.05),
    "agent.target_entropy_fraction": Choice((0.1, 0.3, 0.5, 0.7, 0.89)),
    "replay.minibatch_size": Choice((64, 128, 256)),
}


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, SACDiscrete)
