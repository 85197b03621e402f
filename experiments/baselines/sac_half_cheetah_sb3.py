"""What sac_half_cheetah is compared with: Stable-Baselines3's SAC with the same settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.acting.evaluation import EvaluationConfig
from agents.libraries import sb3
from agents.libraries.sb3 import SB3PolicyConfig
from envs.config import EnvConfig
from experiments.control.sac_half_cheetah import Config as Ours
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(sb3.SB3RunConfig):
    """What the library has as defaults, but for the warm-up and the size of the buffer."""

    env: EnvConfig = Ours.env
    env_steps: int = Ours.env_steps
    agent: SB3PolicyConfig = field(
        default_factory=lambda: SB3PolicyConfig("SAC", arguments={"buffer_size": 50_000, "learning_starts": 10_000})
    )
    evaluation: EvaluationConfig = Ours.evaluation
    checkpoint: CheckpointConfig = Ours.checkpoint


CLAIMS = ()  # it is there to be compared with


def train(config: Config, run: Run) -> None:
    """`sb3.train` makes environments and the library's model; `training.fit` is the loop."""
    sb3.train(config, run)
