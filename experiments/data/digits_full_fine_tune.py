"""Fine-tuning: a network that reads upright digits learns turned ones from three images each, better than anew."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from experiments.data import digits_cnn
from experiments.data.digits_domain_adaptation import turned
from finetuning import predictor
from finetuning.optimizer_rules import discriminative
from finetuning.predictor import FineTuneConfig
from pretraining import supervised
from pretraining.model import load_model
from pretraining.recipe import HeldOutConfig
from training.claims import Claim
from training.core import Every
from training.data.dataset import Dataset
from training.data.sources import sklearn_dataset
from training.data.splits import Splits, split
from training.errors import require
from training.optimizer import Rule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(digits_cnn.Config):
    """`digits_cnn`, then the same network and augmentation on a few digits that are turned."""

    degrees: float = 30.0
    """How far they are turned."""
    images_each: int = 3
    """Of every digit, to learn from; as many to validate with."""
    few: FineTuneConfig = field(
        default_factory=lambda: FineTuneConfig(
            epochs=None,
            steps=400,
            minibatch_size=30,
            model=digits_cnn.Config().model,
            algorithm=digits_cnn.Config().algorithm,
            evaluation=HeldOutConfig(every=Every(100, "updates")),
        )
    )
    rules: tuple[Rule, ...] = discriminative(("head.*", "*"), 2e-3, factor=4.0)
    """Of fine-tuning: what is learned already learns more slowly than the head."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.images_each >= 1, "images_each", self.images_each, "at least 1")


# In percentage points of the turned digits of the test split.
RESPLIT = Config().split.test_per_train
CLAIMS = (Claim("comparison/points_over_scratch", ">=", 2.0, seeds=10, resplit=RESPLIT),)


def train(config: Config, run: Run) -> None:
    """Three stages: pretraining, from scratch, and fine-tuning; the last two see the same images as often."""
    splits = split(sklearn_dataset("digits"), config.split, seed=config.seed)
    pretraining, scratch, tuned = run.stage("pretrain"), run.stage("scratch"), run.stage("fine-tune")
    if not pretraining.finished:
        supervised.train(config, pretraining, splits)
    train_part, validation, test = (turned(part, config.degrees) for part in splits)
    few = Splits(first_of_each(train_part, config.images_each), first_of_each(validation, config.images_each), test)
    own = replace(config.few, seed=config.seed)
    if not scratch.finished:
        supervised.train(own, scratch, few)
    if not tuned.finished:
        slower = replace(own.algorithm.optimizer, rules=config.rules)
        own = replace(own, algorithm=replace(own.algorithm, optimizer=slower))
        predictor.train(own, tuned, few, load_model(pretraining.folder, "last"))
    accuracy = {stage: 100 * stage.result["metrics"]["test/accuracy"] for stage in (scratch, tuned)}
    compared = {
        "comparison/scratch_accuracy": accuracy[scratch] / 100,
        "comparison/points_over_scratch": accuracy[tuned] - accuracy[scratch],
    }
    run.finish_as(tuned, compared)


def first_of_each(data: Dataset, count: int) -> Dataset:
    """The first samples of every class."""
    target = data.array("target")
    rows = [np.flatnonzero(target == label)[:count] for label in np.unique(target)]
    return data.select(np.concatenate(rows))
