"""Rainbow: discrete actions; C51 that is double, dueling and noisy, with priorities and returns of three steps."""

from __future__ import annotations

from dataclasses import dataclass

from agents.c51 import C51, C51Config
from agents.policies.q_network import QNetworkConfig
from agents.recipes import off_policy
from agents.recipes.presets import ATARI, MINATAR, MINIGRID, Actions, Presets, values_of
from agents.replay.replay import ReplayConfig
from agents.updates.q_learning import EpsilonConfig
from envs.config import EnvConfig
from experiments.control import rainbow_cartpole
from training.run.run import Run
from training.search_space import Choice, LogUniform, Space


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """The parts of Hessel et al. 2018, table 1, over which a preset is put; say with --policy.value-range what is known
    of the returns."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    policy: QNetworkConfig = QNetworkConfig(
        distribution="categorical", atoms=51, value_range=(-10.0, 10.0), dueling=True, noisy_std=0.5
    )
    replay: ReplayConfig = ReplayConfig(horizon=4, n_step=3, priority_exponent=0.5, importance_exponent=0.4)
    # The noise on the weights explores alone.
    agent: C51Config = C51Config(double=True, epsilon=EpsilonConfig(initial=0.0, final=0.0))


ACTIONS: Actions = "discrete"
CLAIMS = ()  # of whatever environment, nothing is claimed

CARTPOLE = values_of(rainbow_cartpole, Config())
# CleanRL's for Atari games (rainbow_atari.py), with a shorter warm-up and a smaller memory.
IMAGES = {
    "env_steps": 1_000_000,
    "policy.network.hidden": (512,),
    "replay.capacity": 100_000,
    "replay.warmup_env_steps": 20_000,
    "replay.minibatch_size": 32,
    "agent.target_gradient_steps": 2_000,
    "agent.optimizer.learning_rate": 6.25e-5,
    "agent.optimizer.eps": 1.5e-4,
    "evaluation.every.count": 50_000,
}

PRESETS: Presets = {
    # The settings of rainbow_cartpole, with CleanRL's atoms where nothing is known of the returns (c51.py).
    "default": {
        **CARTPOLE,
        "policy.normalize_observation": True,
        "policy.atoms": 101,
        "policy.value_range": (-100.0, 100.0),
        "evaluation.every.count": 10_000,
    },
    "atari": {**IMAGES, **ATARI, "replay.warmup_env_steps": 80_000},
    "minigrid": {**IMAGES, **MINIGRID, "agent.target_gradient_steps": 250, "agent.optimizer.learning_rate": 2.5e-4},
    "images": IMAGES,
    "small_images": {**IMAGES, "policy.network.cnn": "small", "env_steps": 500_000},
    "minatar": {
        **IMAGES,
        **MINATAR,
        "policy.network.hidden": (128,),  # value and advantages have layers of their own
        "replay.warmup_env_steps": 5_000,
        "agent.target_gradient_steps": 250,
        "agent.optimizer.learning_rate": 2.5e-4,
    },
    # Measured here: the settings of the experiment that claims something there.
    "CartPole-v1": CARTPOLE,
}

SPACE: Space = {
    "agent.optimizer.learning_rate": LogUniform(3e-5, 3e-3),
    "agent.gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995)),
    "agent.target_gradient_steps": Choice((125, 250, 500, 2_000)),
    "replay.gradient_steps": Choice((1, 2, 4)),
    "replay.n_step": Choice((1, 3, 5)),
    "replay.priority_exponent": Choice((0.0, 0.3, 0.5, 0.7)),
    "policy.noisy_std": Choice((0.1, 0.5, 1.0)),
    "policy.atoms": Choice((51, 101, 201)),
}


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, C51)
