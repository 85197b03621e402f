"""CORAL reads turned digits without seeing their labels better than models of aligned pixels do, DANN no better."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import rotate

from finetuning import coral, dann
from finetuning.coral import CORALConfig, CORALRunConfig
from finetuning.dann import DANNConfig, DANNRunConfig
from pretraining import supervised
from pretraining.baselines.alignment import aligned
from pretraining.baselines.linear import arrays, flat
from pretraining.baselines.strongest import strongest
from pretraining.predictor import PredictorConfig
from pretraining.supervised import SupervisedConfig, SupervisedRunConfig
from training.claims import Claim
from training.data.dataset import Dataset
from training.data.sources import sklearn_dataset
from training.data.splits import SplitConfig, Splits, split
from training.errors import require
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

OPTIMIZER = OptimizerConfig(
    "adamw", learning_rate=1e-3, schedule=Schedule("cosine", warmup=0.05), weight_decay=0.01, max_grad_norm=1.0
)


@dataclass(frozen=True, kw_only=True)
class Config(SupervisedRunConfig):
    """A small residual network; half of the digits stand upright, the others are turned and have no labels."""

    degrees: float = 30.0
    """How far the digits of the target domain are turned."""
    split: SplitConfig = SplitConfig("stratified", validation=0.1, test=0.2)
    epochs: int | None = 40
    model: PredictorConfig = PredictorConfig(
        network=NetworkConfig(hidden=(64,), activation="relu", cnn="residual", channels=(16, 32))
    )
    algorithm: SupervisedConfig = SupervisedConfig(optimizer=OPTIMIZER)
    dann: DANNConfig = field(default_factory=lambda: DANNConfig(reversal=0.3, optimizer=OPTIMIZER))
    coral: CORALConfig = field(default_factory=lambda: CORALConfig(weight=1000.0, optimizer=OPTIMIZER))

    def __post_init__(self) -> None:
        super().__post_init__()
        require(-180.0 <= self.degrees <= 180.0, "degrees", self.degrees, "-180 to 180")


# In percentage points of the turned digits of the test split. Of pixels it is the better one of two: the best model of
# upright ones, and the best one where these have got the covariance of the turned ones. DANN is ahead of these with
# some seeds only; what it adds is claimed over the same network without adaptation.
RESPLIT = Config().split.test_per_train
CLAIMS = (
    Claim("comparison/coral_points_over_pixels", ">=", 0.0, seeds=10, resplit=RESPLIT),
    Claim("comparison/dann_points", ">=", 0.0, seeds=10, resplit=RESPLIT),
)


def train(config: Config, run: Run) -> None:
    """Three stages on the same digits, with the same network, batches and epochs."""
    splits, turned = domains(config)
    stages = {name: run.stage(name) for name in ("source-only", "coral", "dann")}
    shared = {
        key: getattr(config, key)
        for key in ("seed", "device", "threads", "compile", "epochs", "steps", "minibatch_size", "model", "log_every")
    } | {"evaluation": config.evaluation, "checkpoint": config.checkpoint}
    if not stages["source-only"].finished:
        supervised.train(config, stages["source-only"], splits)
    if not stages["coral"].finished:
        coral.train(CORALRunConfig(**shared, algorithm=config.coral), stages["coral"], splits, turned)
    if not stages["dann"].finished:
        dann.train(DANNRunConfig(**shared, algorithm=config.dann), stages["dann"], splits, turned)
    accuracy = {name: 100 * stage.result["metrics"]["test/accuracy"] for name, stage in stages.items()}
    compared = {f"comparison/{name}_points": accuracy[name] - accuracy["source-only"] for name in ("dann", "coral")}
    parts = arrays(splits)
    models = {"upright": parts, "aligned": aligned(parts, flat(turned))}
    pixels = {name: 100 * strongest(seen, score="accuracy")["accuracy"] for name, seen in models.items()}
    best = max(pixels.values())
    compared |= {f"comparison/{name}_points_over_pixels": accuracy[name] - best for name in ("dann", "coral")}
    compared |= {f"comparison/{name}_pixels_accuracy": value / 100 for name, value in pixels.items()}
    run.finish_as(stages["dann"], {"comparison/source_only_accuracy": accuracy["source-only"] / 100, **compared})


def domains(config: Config) -> tuple[Splits, Dataset]:
    """Upright digits to learn from and to validate with, turned ones to test with, and turned ones without labels."""
    digits = sklearn_dataset("digits")
    parts = split(digits, config.split, seed=config.seed)
    rows = np.arange(len(parts.train))
    splits = Splits(parts.train.select(rows[::2]), parts.validation, turned(parts.test, config.degrees))
    return splits, turned(parts.train.select(rows[1::2]), config.degrees)


def turned(data: Dataset, degrees: float) -> Dataset:
    """The same digits, turned counterclockwise."""
    arrays = {key: data.array(key) for key in data.arrays}
    arrays["input"] = rotate(arrays["input"], degrees, axes=(2, 1), reshape=False, order=1)
    return replace(data, arrays=arrays, rows=None)
