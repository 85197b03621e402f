"""RLPD's networks and gradient steps without its data: what `rlpd_half_cheetah` is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.offline import rlpd_half_cheetah
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(rlpd_half_cheetah.Config):
    """The same in all but the dataset."""

    dataset: str | None = None


CLAIMS = ()  # it is there to be compared with


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    rlpd_half_cheetah.train(config, run)
