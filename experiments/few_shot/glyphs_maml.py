"""MAML finds weights from which a few steps learn characters that were never seen, far better than from new weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from experiments.few_shot import glyphs_few_shot
from pretraining import maml
from pretraining.maml import MAML, MAMLConfig, MAMLRunConfig, adapted_accuracy
from pretraining.predictor import PredictorConfig
from pretraining.recipe import HeldOutConfig
from training.claims import Claim
from training.core import Every
from training.data.augmentation import AugmentationConfig
from training.data.few_shot import task_accuracy
from training.data.glyphs import DISTORTION
from training.data.splits import Splits
from training.errors import require
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(MAMLRunConfig):
    """The characters and the network of `glyphs_few_shot`."""

    test_classes: int = 400
    validation_classes: int = 100
    distortion: AugmentationConfig = DISTORTION
    threads: int | Literal["auto"] = 1
    steps: int | None = 600
    alone_steps: int = 20
    """Of the same network that learns from what is shown alone."""
    alone_rates: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3)
    """Its step sizes, of which the validation split chooses."""
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(200, "updates"))
    model: PredictorConfig = PredictorConfig(network=glyphs_few_shot.NETWORK)
    algorithm: MAMLConfig = MAMLConfig(
        augmentation=DISTORTION,
        optimizer=OptimizerConfig(
            "adam", learning_rate=2e-3, schedule=Schedule("cosine", warmup=0.05), max_grad_norm=10.0
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alone_steps >= 1, "alone_steps", self.alone_steps, "at least 1")
        positive = bool(self.alone_rates) and min(self.alone_rates) > 0
        require(positive, "alone_rates", self.alone_rates, "one and more numbers above 0")


CLAIMS = (Claim("over_shots_alone/accuracy", ">=", 0.1),)


def data(config: Config) -> Splits:
    """Those of `glyphs_few_shot`."""
    return glyphs_few_shot.data(config)


def train(config: Config, run: Run) -> None:
    """`maml.train` makes the network; `training.fit` is the loop."""
    splits = data(config)
    others = cache(lambda: alone(config, splits))

    def measure(_: MAML, found: Mapping[str, float]) -> dict[str, float]:
        over = {f"over_{who}/accuracy": found["test/accuracy"] - others()[f"{who}/accuracy"] for who in OTHERS}
        return {**others(), **over}

    maml.train(config, run, splits, measure=measure)


OTHERS = ("shots_alone", "pixels")


def alone(config: Config, splits: Splits) -> dict[str, float]:
    """The accuracy, on the same tasks, of the network with new weights that learns from what is shown by more steps,
    and of the nearest mean of the pixels."""
    model, own = maml.new_model(config, splits), config.algorithm

    def accuracy(rate: float, name: str, count: int) -> float:
        part = getattr(splits, name)
        return adapted_accuracy(
            model,
            list(part.batches(config.evaluation.minibatch_size)),
            own.measured,
            steps=config.alone_steps,
            rate=rate,
            count=count,
            seed=config.seed,
            source=f"the {name} split",
        )

    best = max(config.alone_rates, key=lambda rate: accuracy(rate, "validation", max(1, own.measured_tasks // 4)))
    pixels = torch.from_numpy(splits.test.array("input")).flatten(1).float() / 255
    target = torch.from_numpy(splits.test.array("target"))
    means = task_accuracy(
        pixels, target, own.measured, count=own.measured_tasks, seed=config.seed, source="the test split"
    )
    return {
        "shots_alone/accuracy": accuracy(best, "test", own.measured_tasks),
        "shots_alone/rate": best,
        "pixels/accuracy": means,
    }
