"""PQN plays MinAtar's Freeway, as `pqn_minatar_breakout` plays Breakout."""

from __future__ import annotations

from dataclasses import dataclass

from envs.config import EnvConfig
from experiments.games import pqn_minatar_breakout
from training.claims import Claim
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(pqn_minatar_breakout.Config):
    """The same settings for each of MinAtar's games."""

    env: EnvConfig = EnvConfig("MinAtar/Freeway-v1")


# On development seed 1 it ended at 64.6.
CLAIMS = (Claim("evaluation/return_mean", ">=", 50.0, seeds=5),)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    pqn_minatar_breakout.train(config, run)
