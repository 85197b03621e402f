"""Distillation: a twelfth of the parameters reads digits within two points of its teacher, by logits not surely."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from experiments.data import digits_cnn
from finetuning import distillation
from finetuning.distillation import DistillationConfig, DistillationRunConfig
from pretraining import supervised
from pretraining.model import load_model
from pretraining.predictor import PredictorConfig
from training.claims import Claim
from training.data.sources import sklearn_dataset
from training.data.splits import split
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


def _student(*, logits: float, features: float) -> DistillationRunConfig:
    return DistillationRunConfig(
        epochs=40,
        model=PredictorConfig(network=NetworkConfig(hidden=(), activation="relu", cnn="small")),
        algorithm=DistillationConfig(
            logits=logits,
            features=features,
            augmentation=digits_cnn.Config().algorithm.augmentation,
            optimizer=OptimizerConfig(
                "adamw", learning_rate=3e-3, schedule=Schedule("cosine", warmup=0.05), weight_decay=0.01
            ),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Config(digits_cnn.Config):
    """`digits_cnn` as the teacher for fewer epochs, then two students: by probabilities, and by features too."""

    epochs: int | None = 25
    by_logits: DistillationRunConfig = field(default_factory=lambda: _student(logits=0.9, features=0.0))
    by_features: DistillationRunConfig = field(default_factory=lambda: _student(logits=0.9, features=0.5))


# In percentage points of the test split.
RESPLIT = Config().split.test_per_train
CLAIMS = (
    Claim("comparison/logits_points_below_teacher", "<=", 2.0, seeds=10, resplit=RESPLIT),
    Claim("comparison/features_points_below_teacher", "<=", 2.0, seeds=10, resplit=RESPLIT),
)


def train(config: Config, run: Run) -> None:
    """Three stages: the teacher, and two students of it."""
    splits = split(sklearn_dataset("digits"), config.split, seed=config.seed)
    stages = {name: run.stage(name) for name in ("teacher", "logits", "features")}
    if not stages["teacher"].finished:
        supervised.train(config, stages["teacher"], splits)
    for name, own in (("logits", config.by_logits), ("features", config.by_features)):
        if not stages[name].finished:
            teacher = load_model(stages["teacher"].folder, "last")
            distillation.train(replace(own, seed=config.seed), stages[name], splits, teacher)
    accuracy = {name: 100 * stage.result["metrics"]["test/accuracy"] for name, stage in stages.items()}
    sizes = {
        name: sum(weight.numel() for weight in load_model(stage.folder, "last").parameters())
        for name, stage in stages.items()
    }
    compared = {
        f"comparison/{name}_points_below_teacher": accuracy["teacher"] - accuracy[name]
        for name in ("logits", "features")
    }
    run.finish_as(
        stages["features"], {**compared, "comparison/parameters_fraction": sizes["logits"] / sizes["teacher"]}
    )
