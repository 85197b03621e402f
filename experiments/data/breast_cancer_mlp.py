"""A perceptron tells benign from malignant tumours no better than a logistic regression or an SVM: 569 samples."""

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
    """A wide layer, strong weight decay, and the weights of the best epoch."""

    split: SplitConfig = SplitConfig("stratified", validation=0.15, test=0.3)
    epochs: int | None = 100
    patience: int | None = 20
    minibatch_size: int = 32
    model: PredictorConfig = PredictorConfig(network=NetworkConfig(hidden=(128,), activation="relu"))
    algorithm: SupervisedConfig = SupervisedConfig(
        label_smoothing=0.05,
        optimizer=OptimizerConfig("adamw", learning_rate=1e-3, schedule=Schedule("cosine"), weight_decay=0.1),
    )


# The classes can nearly be told apart by a plane, so that little is left to win: the network is not to be worse by more
# than half a hundredth than the best of a logistic regression, an SVM and boosted trees by cross-validation. Of the
# best epoch, since to stop there is how the network is kept from learning by heart.
RESPLIT = Config().split.test_per_train
CLAIMS = (
    Claim("test/auc", ">=", 0.99, at="best", seeds=10, resplit=RESPLIT),
    Claim("over_strongest/auc", ">=", 0.0, margin=-0.005, at="best", seeds=10, resplit=RESPLIT),
)


def data(config: Config) -> Splits:
    """What is learned from and what is held out, by which `report` shows where the network is wrong."""
    return split(sklearn_dataset("breast_cancer"), config.split, seed=config.seed)


def train(config: Config, run: Run) -> None:
    """`supervised.train` makes the network; `training.fit` is the loop."""
    splits = data(config)
    baseline = partial(strongest, splits, score="auc")
    supervised.train(config, run, splits, measure=against("strongest", baseline))
