"""An autoencoder keeps more of a handwritten digit in eight numbers than principal components do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from pretraining import autoencoder
from pretraining.autoencoder import AutoencoderConfig, AutoencoderRunConfig, AutoencodingConfig
from pretraining.baselines.linear import against
from pretraining.whole_data import PCA, PCAConfig
from training.claims import Claim
from training.data.sources import sklearn_dataset
from training.data.splits import SplitConfig, Splits, split
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(AutoencoderRunConfig):
    """Two layers to a code of eight, and back."""

    split: SplitConfig = SplitConfig("stratified")
    epochs: int | None = 100
    model: AutoencoderConfig = AutoencoderConfig(network=NetworkConfig(hidden=(256, 128), activation="relu"), code=8)
    algorithm: AutoencodingConfig = AutoencodingConfig(
        optimizer=OptimizerConfig("adamw", learning_rate=2e-3, schedule=Schedule("cosine", warmup=0.05))
    )


# How much of the variance of pixels that it never saw it brings back.
RESPLIT = Config().split.test_per_train
CLAIMS = (
    Claim("test/r2", ">=", 0.8, seeds=10, resplit=RESPLIT),
    Claim("over_pca/r2", ">=", 0.0, seeds=10, resplit=RESPLIT),
)


def principal_components(splits: Splits, components: int, seed: int) -> dict[str, float]:
    """The same measure for as many principal components."""
    whole = [part.gather(torch.arange(len(part))) for part in splits]
    pca = PCA(splits.train.inputs, None, PCAConfig(components))
    pca.fit(whole[0], seed)
    return {"r2": pca.measures(whole[2])["r2"]}


def train(config: Config, run: Run) -> None:
    """`autoencoder.train` makes the network; `training.fit` is the loop."""
    splits = split(sklearn_dataset("digits"), config.split, seed=config.seed)
    baseline = partial(principal_components, splits, config.model.code, config.seed)
    autoencoder.train(config, run, splits, measure=against("pca", baseline))
