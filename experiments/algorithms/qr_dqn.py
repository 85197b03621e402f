"""QR-DQN: discrete actions; learns the quantiles of the return, whatever its range."""

from __future__ import annotations

from dataclasses import dataclass

from agents.policies.q_network import QNetworkConfig
from agents.qr_dqn import QRDQN, QRDQNConfig
from agents.recipes import off_policy
from agents.recipes.presets import Actions, Presets, values_of
from envs.config import EnvConfig
from experiments.algorithms import dqn
from experiments.control import qr_dqn_cartpole
from training.run.run import Run
from training.search_space import Choice, Space


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """QR-DQN's own defaults, over which a preset is put."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    policy: QNetworkConfig = QNetworkConfig(distribution="quantile", atoms=25)
    agent: QRDQNConfig = QRDQNConfig()


ACTIONS: Actions = "discrete"
CLAIMS = ()  # of whatever environment, nothing is claimed

# DQN's presets. The quantiles are those of RL Zoo's: 25 for small tasks, the paper's 200 for images.
PRESETS: Presets = {
    **dqn.SHARED,
    "atari": {
        **dqn.SHARED["atari"],
        "policy.atoms": 200,
        "agent.epsilon.fraction": 0.025,
        "agent.optimizer.learning_rate": 5e-5,
    },
    "images": {**dqn.SHARED["images"], "policy.atoms": 200, "agent.optimizer.learning_rate": 5e-5},
    # Measured here: the settings of the experiment that claims something there.
    "CartPole-v1": values_of(qr_dqn_cartpole, Config()),
}

SPACE: Space = {**dqn.SPACE, "policy.atoms": Choice((10, 25, 50, 100))}


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, QRDQN)
