"""CrossQ: continuous actions; learns from fewer steps than SAC, with as many updates."""

from __future__ import annotations

from dataclasses import dataclass

from agents.crossq import CrossQ, CrossQConfig
from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.recipes.presets import Actions, Presets, values_of
from envs.config import EnvConfig
from experiments.algorithms import sac
from experiments.control import crossq_half_cheetah
from training.run.run import Run
from training.search_space import Choice, Space


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """CrossQ's own defaults, the paper's with narrower critics, over which a preset is put."""

    env: EnvConfig = EnvConfig("Pendulum-v1")
    policy: ActorConfig = ActorConfig(renormalized=True)
    agent: CrossQConfig = CrossQConfig()


ACTIONS: Actions = "continuous"
CLAIMS = ()  # of whatever environment, nothing is claimed

# SAC's budgets; the first layer is renormalized, so that observations need no normalization of their own.
WARM = {"policy.normalize_observation": False, "replay.warmup_env_steps": 5_000}

PRESETS: Presets = {
    "default": {**sac.DEFAULT, "policy.normalize_observation": False},
    "mujoco": {**sac.MUJOCO, **WARM},
    "images": sac.IMAGES,
    "small_images": {**sac.IMAGES, **sac.SMALL},
    # Measured here: the settings of the experiment that claims something there.
    "HalfCheetah-v5": values_of(crossq_half_cheetah, Config()),
}

SPACE: Space = {
    **{name: values for name, values in sac.SPACE.items() if name not in ("agent.tau", "policy.normalize_observation")},
    "agent.policy_delay": Choice((1, 2, 3)),
}


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, CrossQ)
