"""SAC without hindsight, which does not learn to reach goals: what `her_reach` is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.recipes import off_policy
from agents.replay.replay import ReplayConfig
from agents.sac import SAC
from experiments.control import her_reach
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(her_reach.Config):
    """The same in all but the replay's goals."""

    replay: ReplayConfig = replace(her_reach.Config.replay, hindsight_fraction=0.0)


CLAIMS = ()  # it is there to be compared with


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, SAC)
