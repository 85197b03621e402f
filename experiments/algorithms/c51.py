"""C51: discrete actions; learns how likely each return is, where their range is known."""

from __future__ import annotations

from dataclasses import dataclass

from agents.c51 import C51, C51Config
from agents.policies.q_network import QNetworkConfig
from agents.recipes import off_policy
from agents.recipes.presets import Actions, Presets, values_of
from envs.config import EnvConfig
from experiments.algorithms import dqn
from experiments.control import c51_cartpole
from training.run.run import Run
from training.search_space import Choice, Space


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """CleanRL's atoms where nothing is known of the returns (c51.py); say what is with --policy.value-range."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    policy: QNetworkConfig = QNetworkConfig(distribution="categorical", atoms=101, value_range=(-100.0, 100.0))
    agent: C51Config = C51Config()


ACTIONS: Actions = "discrete"
CLAIMS = ()  # of whatever environment, nothing is claimed

# The paper's atoms, for rewards of about 1.
PAPER = {"policy.atoms": 51, "policy.value_range": (-10.0, 10.0)}

# DQN's presets.
PRESETS: Presets = {
    **dqn.SHARED,
    "atari": {**dqn.SHARED["atari"], **PAPER, "agent.optimizer.learning_rate": 2.5e-4},
    "minigrid": {**dqn.SHARED["minigrid"], **PAPER},
    "images": {**dqn.SHARED["images"], **PAPER},
    "small_images": {**dqn.SHARED["small_images"], **PAPER},
    "minatar": {**dqn.SHARED["minatar"], **PAPER},
    # Measured here: the settings of the experiment that claims something there.
    "CartPole-v1": values_of(c51_cartpole, Config()),
}

SPACE: Space = {**dqn.SPACE, "policy.atoms": Choice((51, 101, 201))}


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, C51)
