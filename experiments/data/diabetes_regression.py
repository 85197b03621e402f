"""A perceptron foretells the progress of diabetes no better than ridge regression or an SVM: 442 patients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from pretraining import supervised
from pretraining.baselines.linear import against
from pretraining.baselines.strongest import strongest
from pretraining.predictor import PredictorConfig
from pretraining.supervised import SupervisedConfig, SupervisedRunConfig
from training.claims import Claim
from training.data.sources import sklearn_dataset
from training.data.splits import SplitConfig, Splits, split
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(SupervisedRunConfig):
    """A narrow layer, strong weight decay, averaged weights, and those of the best epoch."""

    split: SplitConfig = SplitConfig(validation=0.15, test=0.3)
    epochs: int | None = 100
    patience: int | None = 20
    minibatch_size: int = 32
    model: PredictorConfig = PredictorConfig(network=NetworkConfig(hidden=(32,), activation="tanh"))
    algorithm: SupervisedConfig = SupervisedConfig(
        optimizer=OptimizerConfig(
            "adamw", learning_rate=1e-3, schedule=Schedule("cosine"), weight_decay=1.0, ema_decay=0.98
        )
    )


# So few patients show little beyond a plane: the network is not to be worse by more than two hundredths of the variance
# than the best of ridge regression, an SVM and boosted trees by cross-validation. Of the best epoch, since to stop
# there is how the network is kept from learning by heart.
RESPLIT = Config().split.test_per_train
CLAIMS = (
    Claim("test/r2", ">=", 0.4, at="best", seeds=10, resplit=RESPLIT),
    Claim("over_strongest/r2", ">=", 0.0, margin=-0.02, at="best", seeds=10, resplit=RESPLIT),
)


def data(config: Config) -> Splits:
    """What is learned from and what is held out, by which `report` shows where the network is wrong."""
    return split(sklearn_dataset("diabetes"), config.split, seed=config.seed)


def train(config: Config, run: Run) -> None:
    """`supervised.train` makes the network; `training.fit` is the loop."""
    splits = data(config)
    baseline = partial(strongest, splits, score="r2")
    supervised.train(config, run, splits, measure=against("strongest", baseline))
