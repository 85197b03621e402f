"""SAC with little time to swing a pendulum up: what `iql_then_sac_pendulum` is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.recipes import off_policy
from agents.sac import SAC, SACConfig
from experiments.control import sac_pendulum
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(sac_pendulum.Config):
    """`sac_pendulum` for a tenth of its env steps, with less noise at first and TD3's discount on this task."""

    agent: SACConfig = replace(sac_pendulum.Config.agent, gamma=0.98, initial_temperature=0.1)
    env_steps: int = 2_000


CLAIMS = ()  # it is there to be compared with


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, SAC)
