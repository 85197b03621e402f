"""Some 2,100 characters are read in two faces that were never seen, far better than by oriented gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pretraining import supervised
from pretraining.baselines.gradients import best_discriminant, histograms_of_gradients, nearest_neighbour
from pretraining.model import model_of
from pretraining.predictions import Predictions, predictions
from pretraining.predictor import PredictorConfig
from pretraining.recipe import HeldOutConfig
from pretraining.supervised import Supervised, SupervisedConfig, SupervisedRunConfig
from training.claims import Claim
from training.core import Every
from training.data.augmentation import AugmentationConfig
from training.data.dataset import Dataset
from training.data.glyphs import DISTORTION, by_face, distorted, glyphs, with_distorted_held_out
from training.data.splits import Splits
from training.errors import require
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

SURE = 0.9
"""From this probability on an answer would be taken without a look."""


@dataclass(frozen=True, kw_only=True)
class Config(SupervisedRunConfig):
    """Four convolutions; of twelve faces nine are learned from, and one chooses the temperature."""

    test_faces: int = 2
    validation_faces: int = 1
    distortion: AugmentationConfig = DISTORTION
    """Of what is measured, once; of what is learned from, anew each time."""
    copies: int = 2
    """Of each picture, distorted, that the baselines learn from beside the picture itself."""
    threads: int | Literal["auto"] = 1
    epochs: int | None = 18
    minibatch_size: int = 128
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(3, "epochs"))
    model: PredictorConfig = PredictorConfig(
        network=NetworkConfig(
            hidden=(),
            activation="relu",
            module="training.networks.strided:StridedCNN",
            module_kwargs={"channels": [32, 64, 128, 128]},
        )
    )
    algorithm: SupervisedConfig = SupervisedConfig(
        label_smoothing=0.05,
        augmentation=DISTORTION,
        optimizer=OptimizerConfig(
            "adamw", learning_rate=3e-3, schedule=Schedule("cosine", warmup=0.05), weight_decay=0.05, ema_decay=0.99
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.copies >= 1, "copies", self.copies, "at least 1")


# The seeds hold out other faces. `hog` is the better of a nearest neighbour and a discriminant on oriented gradients,
# by the validation split.
CLAIMS = (
    Claim("test/accuracy", ">=", 0.8),
    Claim("over_hog/accuracy", ">=", 0.3),
    Claim("test/calibration_error", "<=", 0.05),
)


def data(config: Config) -> Splits:
    """Nine faces to learn from; one and two others, distorted, in pictures that no face before has."""
    splits = by_face(glyphs(), test=config.test_faces, validation=config.validation_faces, seed=config.seed)
    return with_distorted_held_out(splits, config.distortion, seed=config.seed)


def train(config: Config, run: Run) -> None:
    """`supervised.train` makes the network; `training.fit` is the loop."""
    splits = data(config)
    learned = cache(lambda: baselines(config, splits))

    def measure(algorithm: Supervised, found: Mapping[str, float]) -> dict[str, float]:
        model = model_of(algorithm.state_dict())  # with the averaged weights
        said = predictions(model, splits.test, config.evaluation.minibatch_size)
        hog = learned()
        over = {f"over_{name}/accuracy": found["test/accuracy"] - hog[f"{name}/accuracy"] for name in ("pixels", "hog")}
        write_confusions(run, splits, said)
        return {**how_sure(said), **hog, **over}

    supervised.train(config, run, splits, measure=measure)


def how_sure(said: Predictions) -> dict[str, float]:
    """How often the character is among the five likeliest, and how much is answered surely, and how well."""
    order = np.argsort(-said.said, axis=1)[:, :5]
    truth = said.target.astype(np.int64)
    sure, right = said.said.max(1) >= SURE, order[:, 0] == truth
    return {
        "test/accuracy_top_5": float((order == truth[:, None]).any(1).mean()),
        "sure/part": float(sure.mean()),
        "sure/accuracy": float(right[sure].mean()) if sure.any() else 0.0,
    }


def baselines(config: Config, splits: Splits) -> dict[str, float]:
    """What a neighbour on pixels and what oriented gradients read of the test split; they see distorted copies too."""
    more = distorted(splits.train, config.distortion, "train", seed=config.seed, copies=config.copies)
    target = np.concatenate([splits.train.array("target"), more.array("target")])
    pictures = np.concatenate([splits.train.array("input"), more.array("input")])
    validation, test = splits.validation, splits.test
    known, *asked = (histograms_of_gradients(images) for images in (pictures, *map(_pictures, (validation, test))))
    plane = best_discriminant(known, target, (asked[0], validation.array("target")))
    said = {
        "hog_neighbour": [nearest_neighbour(known, target, rows) for rows in asked],
        "hog_discriminant": [plane(rows) for rows in asked],
    }
    pixels = [(images.reshape(len(images), -1) / 255).astype(np.float32) for images in (pictures, _pictures(test))]
    read = {
        name: [_right(*pair) for pair in zip(found, (validation, test), strict=True)] for name, found in said.items()
    }
    better = max(read, key=lambda name: read[name][0])
    return {
        **{f"{name}/accuracy": value[1] for name, value in read.items()},
        "hog/accuracy": read[better][1],
        "pixels/accuracy": _right(nearest_neighbour(pixels[0], target, pixels[1]), test),
    }


def write_confusions(run: Run, splits: Splits, said: Predictions, rows: int = 3, columns: int = 8) -> None:
    """`confusions.png`: the surest mistakes, each above a picture of what it was taken for."""
    from PIL import Image

    wrong = np.flatnonzero(said.said.argmax(1) != said.target)
    surest = wrong[np.argsort(-said.said[wrong].max(1), kind="stable")][: rows * columns]
    shown, train = _pictures(splits.test)[surest], splits.train.array("target")
    taken = _pictures(splits.train)[[int(np.argmax(train == label)) for label in said.said[surest].argmax(1)]]
    pairs = np.pad(np.concatenate([shown, taken // 2], axis=1), ((0, rows * columns - len(surest)), (2, 6), (4, 4)))
    sheet = pairs.reshape(rows, columns, *pairs.shape[1:]).transpose(0, 2, 1, 3).reshape(rows * pairs.shape[1], -1)
    Image.fromarray(sheet).resize((3 * sheet.shape[1], 3 * sheet.shape[0])).save(run.folder / "confusions.png")


def _pictures(data: Dataset) -> NDArray[np.uint8]:
    return data.array("input")


def _right(said: NDArray[np.int64], data: Dataset) -> float:
    return float((said == data.array("target")).mean())
