"""The Decision Transformer, asked for a good swing-up after a mixed dataset, is a little worse than cloning."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.decision_transformer import DecisionTransformerConfig
from agents.policies.decision_transformer import DecisionTransformerPolicyConfig
from agents.recipes import decision_transformer
from agents.recipes.decision_transformer import DecisionTransformerRunConfig
from envs.config import EnvConfig
from experiments.offline import record_pendulum
from training.claims import Claim
from training.core import Every
from training.networks.transformer import TransformerConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(DecisionTransformerRunConfig):
    """Half the paper's width, ten times its step size, and a fortieth of its updates."""

    env: EnvConfig = EnvConfig("Pendulum-v1")
    dataset: str = record_pendulum.MIXED
    epochs: int = 2
    policy: DecisionTransformerPolicyConfig = DecisionTransformerPolicyConfig(
        transformer=TransformerConfig(width=64, layers=3, heads=1), target_return=-150.0, max_episode_steps=200
    )
    agent: DecisionTransformerConfig = DecisionTransformerConfig(
        optimizer=OptimizerConfig(
            kind="adamw",
            learning_rate=1e-3,
            weight_decay=1e-4,
            max_grad_norm=0.25,
            schedule=Schedule("cosine", warmup=0.05),
        )
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(500, "updates"))


# The strongest cheap rule: to do what the data does, which is played by better and worse policies.
CLAIMS = (Claim("evaluation/return_mean", ">=", baseline="bc_pendulum", seeds=10),)


def train(config: Config, run: Run) -> None:
    """`decision_transformer.train` reads the dataset and makes the policy; `training.fit` is the loop."""
    record_pendulum.provide(config.dataset)
    decision_transformer.train(config, run)
