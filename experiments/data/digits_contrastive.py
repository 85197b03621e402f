"""Features learned by contrast read digits from a twentieth of the labels better than any model on pixels does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pretraining import contrastive, supervised
from pretraining.baselines.probe import labelled_part, linear_probe
from pretraining.baselines.strongest import strongest
from pretraining.contrastive import ContrastiveConfig, ContrastiveEncoderConfig, ContrastiveRunConfig
from pretraining.model import load_model
from pretraining.predictor import PredictorConfig
from pretraining.recipe import HeldOutConfig
from pretraining.supervised import SupervisedConfig, SupervisedRunConfig
from training.claims import Claim
from training.core import Every
from training.data.augmentation import AugmentationConfig
from training.data.sources import sklearn_dataset
from training.data.splits import SplitConfig, Splits, split
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

CHANGES = AugmentationConfig(shift_pixels=1.0, rotate_degrees=15.0, scale=0.15, shear=0.15)
NETWORK = NetworkConfig(hidden=(128,), activation="relu", cnn="residual", channels=(16, 32))


@dataclass(frozen=True, kw_only=True)
class Config(ContrastiveRunConfig):
    """The same changes of the images and the same encoder for both; features go on to improve for longer."""

    split: SplitConfig = SplitConfig("stratified", validation=0.1, test=0.3)
    labelled: float = 0.05
    """The part of the labels that is used."""
    epochs: int | None = None
    steps: int | None = 1_500
    model: ContrastiveEncoderConfig = ContrastiveEncoderConfig(network=NETWORK)
    algorithm: ContrastiveConfig = ContrastiveConfig(
        augmentation=CHANGES, optimizer=OptimizerConfig("adamw", learning_rate=2e-3, schedule=Schedule("cosine"))
    )
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(100, "updates"))
    scratch: SupervisedRunConfig = field(
        default_factory=lambda: SupervisedRunConfig(
            epochs=None,
            steps=500,
            minibatch_size=32,
            evaluation=HeldOutConfig(every=Every(100, "updates")),
            model=PredictorConfig(network=NETWORK),
            algorithm=SupervisedConfig(
                augmentation=CHANGES,
                optimizer=OptimizerConfig("adamw", learning_rate=2e-3, schedule=Schedule("cosine")),
            ),
        )
    )


# A logistic regression on the features, against the same network, and against the best of a logistic regression, an SVM
# and boosted trees on the pixels by cross-validation: all learn from the same 51 labels.
RESPLIT = Config().split.test_per_train
CLAIMS = (
    Claim("comparison/probe_over_strongest_accuracy", ">=", 0.0, seeds=10, resplit=RESPLIT),
    Claim("comparison/probe_over_scratch_accuracy", ">=", 0.0, seeds=10, resplit=RESPLIT),
)


def train(config: Config, run: Run) -> None:
    """Two stages: features without a label and a linear probe on them, then the labels alone."""
    compare(config, run, "contrastive", contrastive.train)


def compare(config: Any, run: Run, stage: str, learn: Callable[[Any, Run, Splits], None]) -> None:
    """Both stages, of this experiment and of `digits_masked`: what `learn` makes of the images is the first."""
    splits = split(sklearn_dataset("digits"), config.split, seed=config.seed)
    labelled = labelled_part(splits, config.labelled, seed=config.seed)
    first, second = run.stage(stage), run.stage("scratch")
    if not first.finished:
        learn(config, first, splits)
    if not second.finished:
        supervised.train(replace(config.scratch, seed=config.seed), second, labelled)
    probe = linear_probe(load_model(first.folder, "last").features, labelled)
    scratch = max(second.result[which].get("test/accuracy", 0.0) for which in ("metrics", "best"))
    pixels = strongest(labelled, score="accuracy")
    compared = {
        "probe/accuracy": probe["accuracy"],
        "scratch/accuracy": scratch,
        **{f"strongest/{key}": value for key, value in pixels.items()},
        "comparison/probe_over_scratch_accuracy": probe["accuracy"] - scratch,
        "comparison/probe_over_strongest_accuracy": probe["accuracy"] - pixels["accuracy"],
    }
    run.finish_as(second, compared)
