"""A residual network reads handwritten digits: scikit-learn's 1,797 images of 8 x 8 pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from pretraining import supervised
from pretraining.baselines.linear import against, logistic_regression
from pretraining.predictor import PredictorConfig
from pretraining.supervised import SupervisedConfig, SupervisedRunConfig
from training.claims import Claim
from training.data.augmentation import AugmentationConfig
from training.data.sources import sklearn_dataset
from training.data.splits import SplitConfig, split
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(SupervisedRunConfig):
    """A small residual network, images that are shifted and turned a little, and averaged weights."""

    split: SplitConfig = SplitConfig("stratified", validation=0.1, test=0.2)
    epochs: int | None = 60
    model: PredictorConfig = PredictorConfig(
        network=NetworkConfig(hidden=(), activation="relu", cnn="residual", channels=(32, 64))
    )
    algorithm: SupervisedConfig = SupervisedConfig(
        label_smoothing=0.1,
        augmentation=AugmentationConfig(shift_pixels=1.0, rotate_degrees=15.0, scale=0.15, shear=0.15),
        optimizer=OptimizerConfig(
            "adamw", learning_rate=2e-3, schedule=Schedule("cosine", warmup=0.05), weight_decay=0.05, ema_decay=0.99
        ),
    )


# The difference is to a logistic regression on the same splits, its penalty chosen by the validation split.
CLAIMS = (
    Claim("test/accuracy", ">=", 0.985),
    Claim("over_logistic_regression/accuracy", ">=", 0.0),
)


def train(config: Config, run: Run) -> None:
    """`supervised.train` makes the network; `training.fit` is the loop."""
    splits = split(sklearn_dataset("digits"), config.split, seed=config.seed)
    baseline = partial(logistic_regression, splits, score="accuracy")
    supervised.train(config, run, splits, measure=against("logistic_regression", baseline))
