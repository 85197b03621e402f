"""Unseen characters from one example each: prototypical networks are a little ahead of a classifier's features."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pretraining import prototypical, supervised
from pretraining.model import load_model
from pretraining.predictor import PredictorConfig
from pretraining.prototypical import (
    PrototypicalConfig,
    PrototypicalEncoderConfig,
    PrototypicalRunConfig,
    features_of,
)
from pretraining.recipe import HeldOutConfig
from pretraining.supervised import SupervisedConfig, SupervisedRunConfig
from training.claims import Claim
from training.core import Every
from training.data.augmentation import AugmentationConfig
from training.data.dataset import Dataset
from training.data.few_shot import Answer, TaskConfig, check_tasks, nearest_centroid, task_accuracy
from training.data.glyphs import DISTORTION, by_class, glyphs, with_distorted_held_out, without_repeats
from training.data.splits import SplitConfig, Splits, split
from training.extras import extra
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

NETWORK = NetworkConfig(
    hidden=(),
    activation="relu",
    module="training.networks.strided:StridedCNN",
    module_kwargs={"channels": [32, 64, 64, 64]},
)
OPTIMIZER = OptimizerConfig("adamw", learning_rate=2e-3, schedule=Schedule("cosine", warmup=0.05), ema_decay=0.99)
TASKS = {
    "5_way_1_shot": TaskConfig(5, 1, 5),
    "20_way_1_shot": TaskConfig(20, 1, 5),
    "5_way_5_shot": TaskConfig(5, 5, 5),
}
"""What is asked at the end."""
DRAWINGS = 10
"""Each character has as many that differ: enough for five to be shown and five to be asked."""


@dataclass(frozen=True, kw_only=True)
class Config(PrototypicalRunConfig):
    """Two networks of one shape see as many pictures in as many updates: one on tasks, one on all classes at once."""

    test_classes: int = 400
    validation_classes: int = 100
    distortion: AugmentationConfig = DISTORTION
    threads: int | Literal["auto"] = 1
    steps: int | None = 1_500
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(300, "updates"))
    model: PrototypicalEncoderConfig = PrototypicalEncoderConfig(network=NETWORK)
    algorithm: PrototypicalConfig = PrototypicalConfig(augmentation=DISTORTION, optimizer=OPTIMIZER)
    classifier: SupervisedRunConfig = field(
        default_factory=lambda: SupervisedRunConfig(
            epochs=None,
            steps=1_500,
            minibatch_size=80,
            threads=1,
            evaluation=HeldOutConfig(every=Every(300, "updates")),
            model=PredictorConfig(network=NETWORK),
            algorithm=SupervisedConfig(augmentation=DISTORTION, optimizer=OPTIMIZER),
        )
    )


# In fractions of the queries of 1,000 tasks. `centroid` is the better of two nearest centroids on the features of the
# classifier, by the validation split; `fine_tuned` a new linear layer on the same, learned from what is shown. The lead
# is small: a classifier that saw as many pictures of a thousand classes has features that are nearly as good, and with
# five examples as good. Nothing is claimed there.
CLAIMS = (
    Claim("test/accuracy", ">=", 0.95),
    Claim("over_centroid/5_way_1_shot", ">=", 0.005),
    Claim("over_centroid/20_way_1_shot", ">=", 0.01),
    Claim("over_fine_tuned/20_way_1_shot", ">=", 0.01),
)


class Held(Protocol):
    """A config that says which characters are held out, and how they are distorted."""

    @property
    def seed(self) -> int: ...
    @property
    def test_classes(self) -> int: ...
    @property
    def validation_classes(self) -> int: ...
    @property
    def distortion(self) -> AugmentationConfig: ...


def data(config: Held) -> Splits:
    """Characters to learn from, and others, distorted once, to choose and to measure with."""
    splits = by_class(
        without_repeats(glyphs(), least=DRAWINGS),
        test=config.test_classes,
        validation=config.validation_classes,
        seed=config.seed,
    )
    return with_distorted_held_out(splits, config.distortion, seed=config.seed)


def train(config: Config, run: Run) -> None:
    """Two stages: the classifier, then the prototypical network; then both are asked the same tasks."""
    splits = data(config)
    for task in TASKS.values():
        check_tasks(splits, config.algorithm.task, task)
    classifier, own = run.stage("classifier"), run.stage("prototypical")
    if not classifier.finished:
        seen = split(splits.train, SplitConfig("stratified", validation=0.1, test=0.1), seed=config.seed)
        # It learns from all pictures of its classes, as the other does; how well it knows them is of no interest.
        known = Splits(splits.train, seen.validation, seen.test)
        supervised.train(replace(config.classifier, seed=config.seed), classifier, known)
    if not own.finished:
        prototypical.train(config, own, splits)
    run.finish_as(own, compared(config, splits, load_model(own.folder, "last"), load_model(classifier.folder, "last")))


def compared(config: Config, splits: Splits, own: Any, classifier: Any) -> dict[str, float]:
    """The accuracy of each on each kind of task, `<who>/<task>`, and how much the prototypical network's is over it."""
    size, count = config.evaluation.minibatch_size, config.algorithm.measured_tasks

    def accuracy(features: Tensor, part: Dataset, task: TaskConfig, answer: Answer = nearest_centroid) -> float:
        target = torch.from_numpy(part.array("target"))
        return task_accuracy(
            features, target, task, answer, count=count, seed=config.seed, source=f"a split of {part.source}"
        )

    def features(model: Any, part: Dataset) -> Tensor:
        return features_of(model, part.batches(size))[0]

    plain = {part: features(classifier, getattr(splits, part)) for part in ("validation", "test")}
    middle = features(classifier, splits.train).mean(0)
    simple = {part: F.normalize(values - middle, dim=1) for part, values in plain.items()}
    validated = TASKS["5_way_1_shot"]
    better = max((plain, simple), key=lambda some: accuracy(some["validation"], splits.validation, validated))
    mine = features(own, splits.test)
    pixels = torch.from_numpy(splits.test.array("input")).flatten(1).float() / 255
    found: dict[str, float] = {}
    for name, task in TASKS.items():
        said = {
            "prototypical": accuracy(mine, splits.test, task),
            "centroid": accuracy(better["test"], splits.test, task),
            "fine_tuned": accuracy(simple["test"], splits.test, task, new_layer),
            "pixels": accuracy(pixels, splits.test, task),
        }
        found |= {f"{who}/{name}": value for who, value in said.items()}
        found |= {
            f"over_{who}/{name}": said["prototypical"] - value for who, value in said.items() if who != "prototypical"
        }
    return found | {"centroid/is_normalized": float(better is simple)}


def new_layer(shown: Tensor, asked: Tensor) -> Tensor:
    """The answers of a logistic regression that learned from what is shown (Chen et al. 2019,
    https://arxiv.org/abs/1904.04232, their baseline with a linear classifier)."""
    with extra("data"):
        from sklearn.linear_model import LogisticRegression
    ways, shots = shown.shape[:2]
    target = torch.arange(ways).repeat_interleave(shots)
    fitted = LogisticRegression(C=10.0).fit(shown.flatten(0, 1).numpy(), target.numpy())
    return torch.from_numpy(fitted.predict(asked.numpy()))
