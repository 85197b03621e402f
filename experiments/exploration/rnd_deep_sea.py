"""Random network distillation finds the treasure of a deep sea, which chance finds once in a thousand episodes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.recipes import on_policy
from agents.rnd import RND, RNDConfig
from experiments.baselines import ppo_deep_sea
from training.claims import Claim
from training.optimizer import OptimizerConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(ppo_deep_sea.Config):
    """`ppo_deep_sea` with a bonus, and less entropy: what is new is worth looking for, chance is not."""

    agent: RNDConfig = RNDConfig(  # type: ignore[assignment]  # another algorithm's
        entropy_coefficient=0.001,
        extrinsic_coefficient=2.0,
        intrinsic_coefficient=1.0,
        warmup_env_steps=1_024,
        predictor_fraction=1.0,
        predictor_optimizer=OptimizerConfig(learning_rate=1e-3, eps=1e-5),
        **ppo_deep_sea.NUMBERS,
    )


# The best return is 0.99, that of keeping away 0.
FOUND = Claim("evaluation/return_mean", ">=", 0.9, of="success", seeds=20)
CLAIMS = (FOUND, replace(FOUND, target=None, baseline="ppo_deep_sea", margin=0.9))


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; `training.fit` is the loop."""
    on_policy.train(config, run, RND)
