"""Filling in patches helps a transformer to read digits from few labels, but an SVM on their pixels stays ahead."""

from __future__ import annotations

from dataclasses import dataclass, field

from experiments.data import digits_contrastive
from pretraining import masked
from pretraining.masked import MaskedConfig, MaskedEncoderConfig, MaskedRunConfig
from pretraining.predictor import PredictorConfig
from pretraining.recipe import HeldOutConfig
from pretraining.supervised import SupervisedConfig, SupervisedRunConfig
from training.claims import Claim
from training.core import Every
from training.data.splits import SplitConfig
from training.networks import NetworkConfig
from training.networks.transformer import TransformerConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

TRANSFORMER = TransformerConfig(width=64, layers=2, heads=4, causal=False)


@dataclass(frozen=True, kw_only=True)
class Config(MaskedRunConfig):
    """The same transformer, updates and images, as they are, for both."""

    split: SplitConfig = SplitConfig("stratified", validation=0.1, test=0.3)
    labelled: float = 0.1
    """The part of the labels that is used."""
    epochs: int | None = None
    steps: int | None = 600
    model: MaskedEncoderConfig = MaskedEncoderConfig(transformer=TRANSFORMER)
    algorithm: MaskedConfig = MaskedConfig(
        hidden_fraction=0.4,
        optimizer=OptimizerConfig("adamw", learning_rate=2e-3, schedule=Schedule("cosine", warmup=0.05)),
    )
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(200, "updates"))
    scratch: SupervisedRunConfig = field(
        default_factory=lambda: SupervisedRunConfig(
            epochs=None,
            steps=600,
            minibatch_size=64,
            evaluation=HeldOutConfig(every=Every(200, "updates")),
            model=PredictorConfig(network=NetworkConfig(hidden=(), activation="relu"), transformer=TRANSFORMER),
            algorithm=SupervisedConfig(
                optimizer=OptimizerConfig("adamw", learning_rate=2e-3, schedule=Schedule("cosine", warmup=0.05)),
            ),
        )
    )


# What filling in adds is claimed over the same network without it. An SVM on the pixels of the same 109 labels is ahead
# of both, and so are the features of `digits_contrastive`.
RESPLIT = Config().split.test_per_train
CLAIMS = (Claim("comparison/probe_over_scratch_accuracy", ">=", 0.0, seeds=20, resplit=RESPLIT),)


def train(config: Config, run: Run) -> None:
    """Two stages: features without a label and a linear probe on them, then the labels alone."""
    digits_contrastive.compare(config, run, "masked", masked.train)
