"""SAC: continuous actions; the first to try there where steps of the environment are expensive."""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.recipes.presets import Actions, Preset, Presets, values_of
from agents.sac import SAC, SACConfig
from envs.config import EnvConfig
from experiments.control import her_reach, sac_half_cheetah, sac_lunar_lander, sac_pendulum
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """SAC's own defaults, the paper's, over which a preset is put."""

    env: EnvConfig = EnvConfig("Pendulum-v1")
    policy: ActorConfig = ActorConfig()
    agent: SACConfig = SACConfig()


ACTIONS: Actions = "continuous"
CLAIMS = ()  # of whatever environment, nothing is claimed

OWN = Config()
# The paper's and Stable-Baselines3's numbers, which are the algorithm's own; normalized.
DEFAULT: Preset = {
    "env_steps": 100_000,
    "policy.normalize_observation": True,
    "evaluation.every.count": 10_000,
    "checkpoint.every.count": 20_000,
}
# The same, where RL Zoo begins to learn after 10,000 steps: small robots need no more than a few thousand in all.
MUJOCO: Preset = {
    **DEFAULT,
    "env_steps": 500_000,
    "replay.capacity": 500_000,
    "evaluation.every.count": 25_000,
    "evaluation.episodes": 10,
    "checkpoint.every.count": 50_000,
}
IMAGES: Preset = {
    "env_steps": 200_000,
    "replay.capacity": 100_000,
    "replay.warmup_env_steps": 5_000,
    "evaluation.every.count": 20_000,
    "evaluation.episodes": 10,
}
SMALL = {"policy.network.cnn": "small", "agent.critic_network.cnn": "small"}
# RL Zoo's for FetchReach (her.yml, sac.yml), with networks of the paper's size.
GOALS: Preset = {
    **DEFAULT,
    "replay.hindsight_fraction": 0.8,
    "agent.gamma": 0.95,
    "agent.actor_optimizer.learning_rate": 1e-3,
    "agent.critic_optimizer.learning_rate": 1e-3,
}
# RL Zoo's for BipedalWalker, with gSDE.
WALKER: Preset = {
    "env_steps": 500_000,
    "policy.distribution": "state_dependent",
    "policy.network.hidden": (400, 300),
    "replay.capacity": 300_000,
    "replay.warmup_env_steps": 10_000,
    "replay.horizon": 64,
    "replay.gradient_steps": 64,
    "agent.gamma": 0.98,
    "agent.tau": 0.02,
    "agent.critic_network.hidden": (400, 300),
    "agent.actor_optimizer.learning_rate": 7.3e-4,
    "agent.critic_optimizer.learning_rate": 7.3e-4,
    "evaluation.every.count": 25_000,
}

SHARED: Presets = {
    "default": DEFAULT,
    "box2d": WALKER,
    "mujoco": MUJOCO,
    "images": IMAGES,
    "small_images": {**IMAGES, **SMALL},
    "goals": GOALS,
    "BipedalWalker-v3": WALKER,
    "Swimmer-v5": {**MUJOCO, "agent.gamma": 0.999},  # RL Zoo's, tuned on Swimmer-v4
}
"""What TQC takes too, as RL Zoo has it."""

PRESETS: Presets = {
    **SHARED,
    # Measured here: the settings of the experiments that claim something there.
    "Pendulum-v1": values_of(sac_pendulum, OWN),
    "LunarLanderContinuous-v3": values_of(sac_lunar_lander, OWN),
    "HalfCheetah-v5": values_of(sac_half_cheetah, OWN),
    "envs.tasks:Reach-v0": values_of(her_reach, OWN),
}

# About what RL Zoo's sampler draws from.
SPACE: Space = {
    "agent.actor_optimizer.learning_rate": LogUniform(1e-4, 3e-3),
    "agent.critic_optimizer.learning_rate": LogUniform(1e-4, 3e-3),
    "agent.gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995, 0.999)),
    "agent.tau": LogUniform(1e-3, 0.08),
    "agent.critic_network.hidden": Choice(((64, 64), (256, 256), (400, 300))),
    "policy.network.hidden": Choice(((64, 64), (256, 256), (400, 300))),
    "policy.normalize_observation": Choice((False, True)),
    "replay.minibatch_size": Choice((64, 128, 256, 512)),
}


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, SAC)
