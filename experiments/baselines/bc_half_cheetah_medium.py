"""Behaviour cloning of episodes of a medium policy: what `rlpd_half_cheetah` is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.bc import BCConfig
from experiments.offline import bc_half_cheetah, record_half_cheetah
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(bc_half_cheetah.Config):
    """All of them: they are of one policy."""

    dataset: str = record_half_cheetah.MEDIUM
    agent: BCConfig = replace(bc_half_cheetah.Config.agent, top_fraction=1.0)


CLAIMS = ()  # it is there to be compared with


def train(config: Config, run: Run) -> None:
    """`cloning.train` reads the dataset and makes the policy; `training.fit` is the loop."""
    bc_half_cheetah.train(config, run)
