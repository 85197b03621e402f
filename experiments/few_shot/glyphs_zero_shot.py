"""Characters that were never seen are found by their Unicode names, of which only the words were seen: no example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pretraining import contrastive_pairs
from pretraining.baselines.gradients import histograms_of_gradients
from pretraining.contrastive_pairs import (
    PAIR,
    ContrastivePairs,
    ContrastivePairsConfig,
    ContrastivePairsRunConfig,
    PairEncoder,
    PairEncoderConfig,
    distinct_names,
    named_accuracy,
)
from pretraining.model import model_of
from pretraining.recipe import HeldOutConfig
from training.claims import Claim
from training.core import Every, to_device
from training.data.augmentation import AugmentationConfig
from training.data.dataset import Dataset
from training.data.glyphs import DISTORTION, by_name, glyphs, with_distorted_held_out, with_names
from training.data.splits import Splits
from training.extras import extra
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

NETWORK = NetworkConfig(
    hidden=(),
    activation="relu",
    module="training.networks.strided:StridedCNN",
    module_kwargs={"channels": [32, 64, 128, 128]},
)


@dataclass(frozen=True, kw_only=True)
class Config(ContrastivePairsRunConfig):
    """A picture and the words of its name, in one space; words are hidden at times while it learns."""

    test_classes: int = 400
    validation_classes: int = 100
    distortion: AugmentationConfig = DISTORTION
    threads: int | Literal["auto"] = 1
    epochs: int | None = None
    steps: int | None = 2_000
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(500, "updates"))
    model: PairEncoderConfig = PairEncoderConfig(network=NETWORK)
    algorithm: ContrastivePairsConfig = ContrastivePairsConfig(
        augmentation=AugmentationConfig(
            shift_pixels=2.0, rotate_degrees=8.0, scale=0.1, shear=0.1, noise=0.1, hide_tokens=0.05
        ),
        optimizer=OptimizerConfig(
            "adamw", learning_rate=2e-3, schedule=Schedule("cosine", warmup=0.05), weight_decay=0.05, ema_decay=0.99
        ),
    )


# Chance is one in 400. `ridge` finds the words of the name by a ridge regression on oriented gradients, and of the
# names the one with the likest words.
CLAIMS = (
    Claim("test/accuracy", ">=", 0.65),
    Claim("all/accuracy", ">=", 0.33),
    Claim("over_ridge/accuracy", ">=", 0.1),
)


def data(config: Config) -> Splits:
    """Characters to learn from, and others, distorted once, whose names have no new word."""
    splits = by_name(glyphs(), test=config.test_classes, validation=config.validation_classes, seed=config.seed)
    return Splits(*map(with_names, with_distorted_held_out(splits, config.distortion, seed=config.seed)))


def train(config: Config, run: Run) -> None:
    """`contrastive_pairs.train` makes the encoders; `training.fit` is the loop."""
    splits = data(config)
    other = cache(lambda: by_ridge(splits))

    def measure(algorithm: ContrastivePairs, found: Mapping[str, float]) -> dict[str, float]:
        size = config.evaluation.minibatch_size
        among_all = of_all_names(model_of(algorithm.state_dict()), splits.test, size)
        return {
            **{f"all/{key}": value for key, value in among_all.items()},
            **{f"ridge/{key}": value for key, value in other().items()},
            "over_ridge/accuracy": found["test/accuracy"] - other()["accuracy"],
        }

    contrastive_pairs.train(config, run, splits, measure=measure)


@torch.no_grad()
def of_all_names(model: PairEncoder, test: Dataset, minibatch_size: int) -> dict[str, float]:
    """The same where all names are asked for, those that were learned from too."""
    device = model.log_scale.device
    seen = torch.cat([model.seen(to_device(batch, device)) for batch in test.batches(minibatch_size)])
    everything = with_names(glyphs())
    names = distinct_names(*(torch.from_numpy(everything.array(key)) for key in ("target", PAIR[1])))[1]
    named = model.named({PAIR[1]: names.to(device)})
    return named_accuracy(seen.cpu(), named.cpu(), torch.from_numpy(test.array("target")))


def by_ridge(splits: Splits) -> dict[str, float]:
    """Of the test split among its own names, by the words that a ridge regression finds on oriented gradients; the
    validation split chooses its penalty."""
    with extra("data"):
        from sklearn.linear_model import Ridge
    train, *asked = (histograms_of_gradients(part.array(PAIR[0])) for part in splits)
    words = [_bag(torch.from_numpy(part.array(PAIR[1])), splits) for part in splits]
    middle = words[0].mean(0)

    def measured(model: Ridge, features: np.ndarray, part: Dataset) -> dict[str, float]:
        labels, names = distinct_names(*(torch.from_numpy(part.array(key)) for key in ("target", PAIR[1])))
        said = F.normalize(torch.from_numpy(model.predict(features)).float(), dim=1)
        named = F.normalize(_bag(names, splits) - middle, dim=1)
        return named_accuracy(said, named, torch.searchsorted(labels, torch.from_numpy(part.array("target"))))

    made = [Ridge(alpha=alpha).fit(train, (words[0] - middle).numpy()) for alpha in (1.0, 10.0, 100.0)]
    best = max(made, key=lambda one: measured(one, asked[0], splits.validation)["accuracy"])
    return measured(best, asked[1], splits.test)


def _bag(names: Tensor, splits: Splits) -> Tensor:
    """[S, L] -> [S, words] 1 where a word is there."""
    space = splits.train.spaces[PAIR[1]]
    bag = torch.zeros(len(names), int(space.nvec[0])).scatter_(1, names, 1.0)  # type: ignore[attr-defined]
    return bag[:, 1:]
