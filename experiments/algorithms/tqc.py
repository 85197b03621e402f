"""TQC: continuous actions; SAC whose critics know quantiles, often the better for more computing."""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.recipes.presets import Actions, Presets, values_of
from agents.tqc import TQC, TQCConfig
from envs.config import EnvConfig
from experiments.algorithms import sac
from experiments.control import tqc_pendulum
from training.run.run import Run
from training.search_space import Choice, Space


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """Two critics, as Stable-Baselines3 has them (the paper has five), over which a preset is put."""

    env: EnvConfig = EnvConfig("Pendulum-v1")
    policy: ActorConfig = ActorConfig()
    agent: TQCConfig = TQCConfig(critics=2)


ACTIONS: Actions = "continuous"
CLAIMS = ()  # of whatever environment, nothing is claimed

# SAC's presets, as RL Zoo has the same for both.
PRESETS: Presets = {
    **sac.SHARED,
    "Hopper-v5": {**sac.SHARED["mujoco"], "agent.dropped_quantiles": 5},  # RL Zoo's for Hopper-v4
    # Measured here: the settings of the experiment that claims something there.
    "Pendulum-v1": values_of(tqc_pendulum, Config()),
}

SPACE: Space = {
    **sac.SPACE,
    "agent.quantiles": Choice((10, 25, 50)),
    "agent.dropped_quantiles": Choice((0, 1, 2, 3, 5)),
}


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, TQC)
