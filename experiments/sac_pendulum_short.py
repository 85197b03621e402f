"""SAC with little time to swing a pendulum up: what `iql_then_sac_pendulum` is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from agents import off_policy
from agents.sac import SAC
from experiments import sac_pendulum
from training.claims import Claim
from training.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(sac_pendulum.Config):
    """`sac_pendulum` for a tenth of its env steps."""

    env_steps: int = 2_000


# A policy that knows nothing returns about -1200.
CLAIMS = (Claim("evaluation/return_mean", "<=", -200.0),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, SAC)
