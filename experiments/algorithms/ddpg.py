"""DDPG: continuous actions; what TD3 was made of, for comparisons."""

from __future__ import annotations

from dataclasses import dataclass

from agents.ddpg import DDPG, DDPGConfig
from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.recipes.presets import Actions, Presets, values_of
from envs.config import EnvConfig
from experiments.algorithms import td3
from experiments.control import ddpg_pendulum
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """TD3's networks and targets, as RL Zoo has the same numbers for both, over which a preset is put."""

    env: EnvConfig = EnvConfig("Pendulum-v1")
    policy: ActorConfig = ActorConfig(distribution="deterministic")
    agent: DDPGConfig = DDPGConfig(tau=0.005, critic_network=ActorConfig().network)


ACTIONS: Actions = "continuous"
CLAIMS = ()  # of whatever environment, nothing is claimed

# TD3's presets.
PRESETS: Presets = {
    **td3.SHARED,
    # Measured here: the settings of the experiment that claims something there.
    "Pendulum-v1": values_of(ddpg_pendulum, Config()),
}

SPACE = td3.SPACE


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, DDPG)
